"""Writes one choice of a chat completion: its chunks, or its whole message. Pure.

Its chunks are one with the role, the deltas, and one with the finish_reason.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import Event, Failed, Finished, PartDelta, PartEnded, PartStarted, Reply, Started, Usage


_encode = msgspec.json.encode


class Choice:
    """Writes one choice.

    ``prefix`` is how every chunk begins, up to its choices, and ``suffix`` what comes after these. ``legacy``
    writes tool calls as ``function_call``.
    """

    def __init__(self, prefix: bytes, suffix: bytes, index: int, *, legacy: bool) -> None:
        """Begin without a part."""
        self._index = index
        self._legacy = legacy
        self._part: PartStarted | None = None
        self._empty = True
        self._calls = 0
        self._head = prefix + b',"choices":[{"index":%d,"delta":' % index
        self._tail = b',"finish_reason":null}]' + suffix + b"}\n\n"
        self._last = b"}]" + suffix + b"}\n\n"

    def write(self, event: Event) -> bytes:
        """Return the chunks that this event adds to the choice; of its end, only the finish_reason."""
        match event:
            case PartDelta(text=text):
                return self.delta(text) if text else b""
            case PartStarted():
                return self._start(event)
            case PartEnded():
                return self._end()
            case Started():
                return self.chunk({"role": "assistant", "content": ""})
            case Finished(reason=reason):
                return self._head + b'{},"finish_reason":' + _encode(self._reason(reason)) + self._last
            case Usage() | Failed():  # pragma: no branch  # the union is closed
                return b""  # these belong to all choices

    def delta(self, text: str) -> bytes:
        """Return a chunk with a piece of the open part."""
        self._empty = False
        match self._part:
            case PartStarted(kind="text"):
                return self._head + b'{"content":' + _encode(text) + b"}" + self._tail
            case PartStarted(kind="reasoning"):
                return self._head + b'{"reasoning_content":' + _encode(text) + b"}" + self._tail
            case _:
                return self._arguments(text)

    def chunk(self, delta: dict[str, Any]) -> bytes:
        """Return a chunk with this delta."""
        return self._head + _encode(delta) + self._tail

    def whole(self, reply: Reply) -> dict[str, Any]:
        """Return the choice of a whole answer."""
        return {
            "index": self._index,
            "message": self._message(reply),
            "logprobs": None,
            "finish_reason": self._reason(reply.reason),
        }

    def _start(self, part: PartStarted) -> bytes:
        self._part, self._empty = part, True
        if part.kind != "tool_call":
            return b""

        function = {"name": part.name, "arguments": ""}
        if self._legacy:
            return self.chunk({"function_call": function})

        index, self._calls = self._calls, self._calls + 1
        call = {"index": index, "id": part.id, "type": "function", "function": function}
        return self.chunk({"tool_calls": [call]})

    def _arguments(self, text: str) -> bytes:
        if self._legacy:
            return self.chunk({"function_call": {"arguments": text}})

        call = {"index": self._calls - 1, "function": {"arguments": text}}
        return self.chunk({"tool_calls": [call]})

    def _end(self) -> bytes:
        """End a part; a call without arguments gets ``{}``, so that JSON parsers can read it."""
        part, self._part = self._part, None
        if part is not None and part.kind == "tool_call" and self._empty:
            return self._arguments("{}")

        return b""

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
