"""Writes events as chat completion chunks, and a whole reply as a chat completion. Pure.

A stream consists of the chunks of each choice, a chunk with the usage if ``include_usage`` asks for it, and
``[DONE]``. All chunks have the same id, the same time, and the name of the model as the client wrote it.
"""

from __future__ import annotations

import secrets
import time

import msgspec

from claude_max_proxy import Event, Failed, Finished, PartDelta, Reply, Usage, formats
from claude_max_proxy.dialects.openai_chat.choice import Choice
from claude_max_proxy.events import Alternative


_encode = msgspec.json.encode
DONE = b"data: [DONE]\n\n"


class ChatWriter:
    """Writes one or several answers in the form of the chat completions API.

    ``legacy`` writes tool calls as ``function_call``, for clients that have sent ``functions``.
    """

    def __init__(
        self, model: str, *, include_usage: bool = False, legacy: bool = False, answers: int = 1
    ) -> None:
        """Begin so many answers, with a new id."""
        self._id = "chatcmpl-" + secrets.token_hex(12)
        self._created = int(time.time())
        self._model = model
        self._include_usage = include_usage
        self._usage: Usage | None = None
        head = {"id": self._id, "object": "chat.completion.chunk", "created": self._created}
        prefix = b"data: " + _encode(head | {"model": model})[:-1]
        null_usage = b',"usage":null' if include_usage else b""
        self._usage_head = prefix + b',"choices":[],"usage":'
        self._choices = [Choice(prefix, null_usage, index, legacy=legacy) for index in range(answers)]
        self._first = self._choices[0]

    def write(self, event: Event | Alternative) -> bytes:
        """Return the chunks that this event stands for."""
        match event:
            case PartDelta(text=text):
                return self._first.delta(text) if text else b""
            case Alternative():
                return self._choices[event.index].write(event.event)
            case Usage():
                self._usage = event
                return b""
            case Finished():
                last = self._first.write(event) if len(self._choices) == 1 else b""
                return last + self._end()
            case Failed(error=error):
                return b"data: " + _encode(formats.envelope(error)) + b"\n\n" + DONE
            case _:
                return self._first.write(event)

    def keep_alive(self) -> bytes:
        """Return a chunk with an empty delta, since clients that watch for silence do not count comments."""
        return self._first.chunk({})

    def whole(self, reply: Reply) -> bytes:
        """Return a chat completion."""
        replies = reply.alternatives or [reply]
        body = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._model,
            "choices": [choice.whole(one) for choice, one in zip(self._choices, replies, strict=True)],
        }
        if reply.usage is not None:
            body["usage"] = formats.usage(reply.usage)
        return _encode(body)

    def _end(self) -> bytes:
        if not self._include_usage:
            return DONE
        return self._usage_head + _encode(formats.usage(self._usage or Usage())) + b"}\n\n" + DONE
