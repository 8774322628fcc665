"""One streamed chat over HTTP, timed."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import msgspec

from claude_max_proxy.sse import Decoder


MODEL = "claude-sonnet-4"
_TIMEOUT = 120.0
Message = dict[str, Any]


class Answer(msgspec.Struct):
    """What came: seconds to the first text or call and to the end, the texts piece by piece, the calls."""

    first: float
    total: float
    pieces: list[str]
    calls: list[dict[str, Any]] = []

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)

    @property
    def message(self) -> Message:
        """The answer as a client puts it into the history."""
        calls = {"tool_calls": self.calls} if self.calls else {}
        return {"role": "assistant", "content": self.text or None, **calls}


def ask(
    client: httpx.Client, messages: list[Message], at_first: Any = None, tools: list[Any] | None = None
) -> Answer:
    """Ask, and call ``at_first`` when the first text or call is there.

    The stream is taken apart after its end, so that the client's own work is not in the times. Raises
    :class:`RuntimeError` for anything but an answer.
    """
    body = {"model": MODEL, "messages": messages, "stream": True, **({"tools": tools} if tools else {})}
    first, chunks = 0.0, []
    began = time.perf_counter()
    with client.stream("POST", "/v1/chat/completions", json=body, timeout=_TIMEOUT) as response:
        decoder = Decoder()
        for chunk in response.iter_raw():
            chunks.append(chunk)
            if not first and any(map(_begun, decoder.feed(chunk))):
                first = time.perf_counter() - began
                if at_first:
                    at_first()
    total = time.perf_counter() - began
    deltas = [_delta(event) for event in Decoder().feed(b"".join(chunks))]
    pieces = [text for delta in deltas if (text := delta.get("content"))]
    calls = _calls(deltas)
    if response.status_code != 200 or not (pieces or calls):
        raise RuntimeError(f"no answer but {response.status_code}: {b''.join(chunks)[:500]!r}")
    return Answer(first, total, pieces, calls)


def _begun(event: Any) -> bool:
    delta = _delta(event)
    return bool(delta.get("content") or delta.get("tool_calls"))


def _delta(event: Any) -> dict[str, Any]:
    if event.data == "[DONE]":
        return {}

    choices = json.loads(event.data).get("choices") or [{}]
    delta: dict[str, Any] = choices[0].get("delta") or {}
    return delta


def _calls(deltas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put the calls together, whose arguments come in pieces."""
    calls: dict[int, dict[str, Any]] = {}
    for piece in [piece for delta in deltas for piece in delta.get("tool_calls") or ()]:
        function = piece["function"]
        call = calls.setdefault(piece["index"], {"type": "function", "function": {"arguments": ""}})
        if piece.get("id"):
            call["id"], call["function"]["name"] = piece["id"], function["name"]
        call["function"]["arguments"] += function.get("arguments") or ""
    return list(calls.values())
