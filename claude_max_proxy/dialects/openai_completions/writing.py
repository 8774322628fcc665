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
    PartStarted,
    Reply,
    Started,
    Usage,
    formats,
)


_encode = msgspec.json.encode
_DONE = b"data: [DONE]\n\n"


class CompletionWriter:
    """Writes one answer; ``echo`` is the prompt if the answer begins with it, otherwise empty."""

    def __init__(self, model: str, *, echo: str = "", include_usage: bool = False) -> None:
        """Begin an answer with a new id."""
        self._head: dict[str, Any] = {
            "id": "cmpl-" + secrets.token_hex(12),
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }
        self._echo = echo
        self._include_usage = include_usage
        self._usage = Usage()
        self._speaking = False

    def write(self, event: Event) -> bytes:
        """Return the chunks that this event stands for."""
        match event:
            case PartDelta(text=text):
                return self._chunk(text) if self._speaking and text else b""
            case PartStarted(kind=kind):
                self._speaking = kind == "text"
            case Started():
                return self._chunk(self._echo)
            case Usage():
                self._usage = event
            case Finished(reason=reason):
                usage = {"choices": [], "usage": formats.usage(self._usage)}
                last = self._data(usage) if self._include_usage else b""
                return self._chunk("", _reason(reason)) + last + _DONE
            case Failed(error=error):
                return b"data: " + _encode(formats.envelope(error)) + b"\n\n" + _DONE
            case _:
                pass
        return b""

    def keep_alive(self) -> bytes:
        """Return a chunk without text, since clients that watch for silence do not count comments."""
        return self._chunk("")

    def whole(self, reply: Reply) -> bytes:
        """Return a completion."""
        body = self._head | {"choices": [_choice(self._echo + reply.text, _reason(reply.reason))]}
        if reply.usage is not None:
            body["usage"] = formats.usage(reply.usage)
        return _encode(body)

    def _chunk(self, text: str, reason: str | None = None) -> bytes:
        return self._data({"choices": [_choice(text, reason)]})

    def _data(self, fields: dict[str, Any]) -> bytes:
        return b"data: " + _encode(self._head | fields) + b"\n\n"


def _choice(text: str, reason: str | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}


def _reason(reason: FinishReason) -> str:
    return "stop" if reason == "tool_calls" else reason
