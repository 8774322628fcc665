"""Writes events as chat completion chunks, and a whole reply as a chat completion. Pure.

A stream consists of a chunk with the role, the deltas, a chunk with the finish_reason, a chunk with the usage
if ``include_usage`` asks for it, and ``[DONE]``. All chunks have the same id, the same time, and the name of
the model as the client wrote it.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Reply,
    Started,
    Usage,
    formats,
)


_encode = msgspec.json.encode
DONE = b"data: [DONE]\n\n"


class ChatWriter:
    """Writes one answer in the form of the chat completions API.

    ``legacy`` writes tool calls as ``function_call``, for clients that have sent ``functions``.
    """

    def __init__(self, model: str, *, include_usage: bool = False, legacy: bool = False) -> None:
        """Begin an answer with a new id."""
        self._id = "chatcmpl-" + secrets.token_hex(12)
        self._created = int(time.time())
        self._model = model
        self._include_usage = include_usage
        self._legacy = legacy
        self._usage: Usage | None = None
        self._part: PartStarted | None = None
        self._empty = True
        self._calls = 0
        head = {"id": self._id, "object": "chat.completion.chunk", "created": self._created}
        prefix = _encode(head | {"model": model})[:-1]
        self._head = b"data: " + prefix + b',"choices":[{"index":0,"delta":'
        self._usage_head = b"data: " + prefix + b',"choices":[],"usage":'
        null_usage = b',"usage":null' if include_usage else b""
        self._tail = b',"finish_reason":null}]' + null_usage + b"}\n\n"

    def write(self, event: Event) -> bytes:
        """Return the chunks that this event stands for."""
        match event:
            case PartDelta(text=text):
                return self._delta(text) if text else b""
            case PartStarted():
                return self._start(event)
            case PartEnded():
                return self._end()
            case Started():
                return self._chunk({"role": "assistant", "content": ""})
            case Usage():
                self._usage = event
                return b""
            case Finished(reason=reason):
                return self._finish(reason)
            case Failed(error=error):
                return b"data: " + _encode(formats.envelope(error)) + b"\n\n" + DONE

    def keep_alive(self) -> bytes:
        """Return a chunk with an empty delta, since clients that watch for silence do not count comments."""
        return self._chunk({})

    def whole(self, reply: Reply) -> bytes:
        """Return a chat completion."""
        body = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._model,
            "choices": [
                {
                    "index": 0,
                    "message": self._message(reply),
                    "logprobs": None,
                    "finish_reason": self._reason(reply.reason),
                }
            ],
        }
        if reply.usage is not None:
            body["usage"] = formats.usage(reply.usage)
        return _encode(body)

    def _chunk(self, delta: dict[str, Any]) -> bytes:
        return self._head + _encode(delta) + self._tail

    def _start(self, part: PartStarted) -> bytes:
        self._part, self._empty = part, True
        if part.kind != "tool_call":
            return b""

        function = {"name": part.name, "arguments": ""}
        if self._legacy:
            return self._chunk({"function_call": function})

        index, self._calls = self._calls, self._calls + 1
        call = {"index": index, "id": part.id, "type": "function", "function": function}
        return self._chunk({"tool_calls": [call]})

    def _delta(self, text: str) -> bytes:
        self._empty = False
        match self._part:
            case PartStarted(kind="text"):
                return self._head + b'{"content":' + _encode(text) + b"}" + self._tail
            case PartStarted(kind="reasoning"):
                return self._head + b'{"reasoning_content":' + _encode(text) + b"}" + self._tail
            case _:
                return self._arguments(text)

    def _arguments(self, text: str) -> bytes:
        if self._legacy:
            return self._chunk({"function_call": {"arguments": text}})

        call = {"index": self._calls - 1, "function": {"arguments": text}}
        return self._chunk({"tool_calls": [call]})

    def _end(self) -> bytes:
        """End a part; a call without arguments gets ``{}``, so that JSON parsers can read it."""
        part, self._part = self._part, None
        if part is not None and part.kind == "tool_call" and self._empty:
            return self._arguments("{}")

        return b""

    def _finish(self, reason: str) -> bytes:
        finish = b'{},"finish_reason":' + _encode(self._reason(reason)) + b"}]"
        null_usage = b',"usage":null' if self._include_usage else b""
        chunks = self._head + finish + null_usage + b"}\n\n"
        if self._include_usage:
            chunks += self._usage_head + _encode(formats.usage(self._usage or Usage())) + b"}\n\n"
        return chunks + DONE

    def _reason(self, reason: str) -> str:
        return "function_call" if self._legacy and reason == "tool_calls" else reason

    def _message(self, reply: Reply) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": reply.text, "refusal": None}
        calls = reply.tool_calls
        if calls and not message["content"]:
            message["content"] = None
        if reply.reasoning:
            message["reasoning_content"] = reply.reasoning
        if calls and self._legacy:
            message["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
        elif calls:
            message["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in calls
            ]
        return message
