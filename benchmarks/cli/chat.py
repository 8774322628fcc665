"""Measures the times of one streamed chat over HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import msgspec

from claude_max_proxy.formats.sse import Decoder


MODEL = "claude-sonnet-4"
_TIMEOUT = 120.0
Message = dict[str, Any]


class Answer(msgspec.Struct):
    """An answer: the seconds to its first text or call and to its end, its pieces of text, and its calls."""

    first: float
    total: float
    pieces: list[str]
    calls: list[dict[str, Any]] = []

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces)

    @property
    def message(self) -> Message:
        """The answer in the form in which a client puts it into the history."""
        calls = {"tool_calls": self.calls} if self.calls else {}
        return {"role": "assistant", "content": self.text or None, **calls}


def ask(
    client: httpx.Client, messages: list[Message], at_first: Any = None, tools: list[Any] | None = None
) -> Answer:
    """Send a request, and return its answer; ``at_first`` is called when the first text or call arrives.

    The stream is only decoded after its end, so that the times do not include the client's own work. Raises
    :class:`RuntimeError` if there is no proper answer.
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
    """Return the calls, whose arguments arrive in pieces, as whole ones."""
    calls: dict[int, dict[str, Any]] = {}
    for piece in [piece for delta in deltas for piece in delta.get("tool_calls") or ()]:
        function = piece["function"]
        call = calls.setdefault(piece["index"], {"type": "function", "function": {"arguments": ""}})
        if piece.get("id"):
            call["id"], call["function"]["name"] = piece["id"], function["name"]
        call["function"]["arguments"] += function.get("arguments") or ""
    return list(calls.values())
