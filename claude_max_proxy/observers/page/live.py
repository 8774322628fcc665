"""Sends the view Now what has changed, as long as somebody looks at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any
from weakref import WeakSet

from claude_max_proxy import Call, Context, Response
from claude_max_proxy.errors import TooManyRequests
from claude_max_proxy.observers.page import rendering
from claude_max_proxy.observers.page.answering import inspecting, prepared
from claude_max_proxy.observers.page.places import HERE
from claude_max_proxy.observers.page.security import GUARDED, NOT_KEPT
from claude_max_proxy.observers.page.watching import Watching


PARTS = (
    "banner",
    "state",
    "problems",
    "windows",
    "budgets",
    "today",
    "underway",
    "recent",
    "processes",
    "reload",
)
_PAUSE = 1.0  # seconds between two looks
_SILENCE = 15.0  # seconds after which a comment shows that the connection works
_MOST_READERS = 20


class _Reader:
    """One reader. Its stream alone holds it, so it is also gone if the stream is closed before it begins."""

    def __init__(self, example: str) -> None:
        self.example = example
        self.seen: dict[str, str] = {}


class Live:
    """The streams of the view Now."""

    def __init__(self, context: Context, watching: Watching, example: Callable[[Call], str]) -> None:
        """Send what ``watching`` sees; ``example`` returns a first request for a reader."""
        self._context = context
        self._watching = watching
        self._example = example
        self._readers: WeakSet[_Reader] = WeakSet()

    async def answer(self, call: Call) -> Response:
        """Return the stream for one reader; raise :class:`TooManyRequests` if there are too many."""
        await prepared()
        if len(self._readers) >= _MOST_READERS:
            raise TooManyRequests("too many windows show this page", retry_after=30)
        reader = _Reader(self._example(call))
        self._readers.add(reader)
        return Response(self._events(reader), 200, "text/event-stream", {**GUARDED, **NOT_KEPT})

    async def _events(self, reader: _Reader) -> AsyncGenerator[bytes, None]:
        said = time.monotonic()
        try:
            while True:
                changed = _changed(
                    reader.seen,
                    {
                        "example": reader.example,
                        "oob": True,
                        "root": HERE,
                        "inspecting": inspecting(self._context),
                        **await self._watching.facts(),
                    },
                )
                if changed or time.monotonic() - said > _SILENCE:
                    said = time.monotonic()
                    yield event(changed)
                await asyncio.sleep(_PAUSE)
        finally:
            self._readers.discard(reader)


def _changed(seen: dict[str, str], values: dict[str, Any]) -> str:
    """Return the parts that differ from what a reader has ``seen``, and note that they are seen.

    They are compared without their times, which go by in the browser itself.
    """
    found = []
    for part in PARTS:
        name = f"now/{part}.html"
        bare = rendering.render(name, bare=True, **values)
        if seen.get(part) != bare:
            seen[part] = bare
            found.append(rendering.render(name, bare=False, **values))
    return "\n".join(found)


def event(html: str) -> bytes:
    """Return an event with this data; without data, a comment."""
    if not html:
        return b": nothing has changed\n\n"
    return "".join(f"data: {line}\n" for line in html.splitlines()).encode() + b"\n"
