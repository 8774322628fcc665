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


class Answer(msgspec.Struct):
    """What came: seconds to the first text and to the end, the texts piece by piece."""

    first: float
    total: float
    pieces: list[str]

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)


def ask(client: httpx.Client, messages: list[dict[str, str]], at_first: Any = None) -> Answer:
    """Ask, and call ``at_first`` when the first text is there.

    The stream is taken apart after its end, so that the client's own work is not in the times. Raises
    :class:`RuntimeError` for anything but an answer.
    """
    body = {"model": MODEL, "messages": messages, "stream": True}
    first, chunks = 0.0, []
    began = time.perf_counter()
    with client.stream("POST", "/v1/chat/completions", json=body, timeout=_TIMEOUT) as response:
        decoder = Decoder()
        for chunk in response.iter_raw():
            chunks.append(chunk)
            if not first and any(map(_text, decoder.feed(chunk))):
                first = time.perf_counter() - began
                if at_first:
                    at_first()
    total = time.perf_counter() - began
    pieces = [text for event in Decoder().feed(b"".join(chunks)) if (text := _text(event))]
    if response.status_code != 200 or not pieces:
        raise RuntimeError(f"no answer but {response.status_code}: {b''.join(chunks)[:500]!r}")
    return Answer(first, total, pieces)


def _text(event: Any) -> str:
    if event.data == "[DONE]":
        return ""

    choices = json.loads(event.data).get("choices") or [{}]
    return choices[0].get("delta", {}).get("content") or ""
