"""Writes events as completion chunks, and a whole reply as a completion; only its text is written. Pure."""

from __future__ import annotations

import secrets
import time
from typing import Any

import msgspec

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    FinishReason,
    PartDelta,
    PartEnded,
    PartStarted,
    Reply,
    Started,
    Usage,
    formats,
)
from claude_max_proxy.events import Alternative


_encode = msgspec.json.encode
_DONE = b"data: [DONE]\n\n"


class CompletionWriter:
    """Writes one or several answers; ``echo`` is the prompt if they begin with it, otherwise empty."""

    def __init__(self, model: str, *, echo: str = "", include_usage: bool = False, answers: int = 1) -> None:
        """Begin so many answers, with a new id."""
        self._head: dict[str, Any] = {
            "id": "cmpl-" + secrets.token_hex(12),
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }
        self._echo = echo
        self._include_usage = include_usage
        self._usage = Usage()
        self._answers = answers
        self._speaking = [False] * answers

    def write(self, event: Event | Alternative) -> bytes:
        """Return the chunks that this event stands for."""
        match event:
            case Alternative():
                return self._of_one(event.index, event.event)
            case Usage():
                self._usage = event
            case Finished():
                last = self._of_one(0, event) if self._answers == 1 else b""
                usage = {"choices": [], "usage": formats.usage(self._usage)}
                return last + (self._data(usage) if self._include_usage else b"") + _DONE
            case Failed(error=error):
                return b"data: " + _encode(formats.envelope(error)) + b"\n\n" + _DONE
            case _:
                return self._of_one(0, event)
        return b""

    def keep_alive(self) -> bytes:
        """Return a chunk without text, since clients that watch for silence do not count comments."""
        return self._chunk(0, "")

    def whole(self, reply: Reply) -> bytes:
        """Return a completion."""
        choices = [
            _choice(index, self._echo + one.text, _reason(one.reason))
            for index, one in enumerate(reply.alternatives or [reply])
        ]
        body = self._head | {"choices": choices}
        if reply.usage is not None:
            body["usage"] = formats.usage(reply.usage)
        return _encode(body)

    def _of_one(self, index: int, event: Event) -> bytes:
        """Return what the event adds to one of the choices."""
        match event:
            case PartDelta(text=text):
                return self._chunk(index, text) if self._speaking[index] and text else b""
            case PartStarted(kind=kind):
                self._speaking[index] = kind == "text"
                return b""
            case Started():
                return self._chunk(index, self._echo)
            case Finished(reason=reason):
                return self._chunk(index, "", _reason(reason))
            case PartEnded() | Usage() | Failed():  # pragma: no branch  # the union is closed
                return b""

    def _chunk(self, index: int, text: str, reason: str | None = None) -> bytes:
        return self._data({"choices": [_choice(index, text, reason)]})

    def _data(self, fields: dict[str, Any]) -> bytes:
        return b"data: " + _encode(self._head | fields) + b"\n\n"


def _choice(index: int, text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _reason(reason: FinishReason) -> str:
    return "stop" if reason == "tool_calls" else reason
