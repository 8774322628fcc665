"""Sends the view Now what has changed, as long as somebody looks at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from weakref import WeakSet, WeakValueDictionary

from claude_max_proxy import Call, Context, Response
from claude_max_proxy.errors import TooManyRequests
from claude_max_proxy.observers.page.answering import inspecting, prepared
from claude_max_proxy.observers.page.board import Board
from claude_max_proxy.observers.page.security import GUARDED, NOT_KEPT
from claude_max_proxy.observers.page.watching import Watching


_PAUSE = 1.0  # seconds between two looks
_SILENCE = 15.0  # seconds after which a comment shows that the connection works
_MOST_READERS = 20


class _Reader:
    """One reader. Its stream alone holds it, so it is also gone if the stream is closed before it begins."""

    def __init__(self, example: str, board: Board) -> None:
        self.example = example
        self.board = board


class Live:
    """The streams of the view Now. Whoever comes first in a second looks and renders, for all of them."""

    def __init__(self, context: Context, watching: Watching, example: Callable[[Call], str]) -> None:
        """Send what ``watching`` sees; ``example`` returns a first request for a reader."""
        self._context = context
        self._watching = watching
        self._example = example
        self._readers: WeakSet[_Reader] = WeakSet()
        # Readers differ only by the address at which they reach the proxy, which is in the example.
        self._boards: WeakValueDictionary[str, Board] = WeakValueDictionary()

    async def answer(self, call: Call) -> Response:
        """Return the stream for one reader; raise :class:`TooManyRequests` if there are too many."""
        await prepared("now.html")
        if len(self._readers) >= _MOST_READERS:
            raise TooManyRequests("too many windows show this page", retry_after=30)
        example = self._example(call)
        reader = _Reader(example, self._boards.setdefault(example, Board()))
        self._readers.add(reader)
        return Response(self._events(reader), 200, "text/event-stream", {**GUARDED, **NOT_KEPT})

    async def _events(self, reader: _Reader) -> AsyncGenerator[bytes, None]:
        said, seen = time.monotonic(), 0
        try:
            while True:
                facts = await self._watching.facts()
                reader.board.show(
                    {**facts, "example": reader.example, "inspecting": inspecting(self._context)}
                )
                if reader.board.version > seen or time.monotonic() - said > _SILENCE:
                    said = time.monotonic()
                    changed, seen = reader.board.since(seen), reader.board.version
                    yield event(changed)
                await asyncio.sleep(_PAUSE)
        finally:
            self._readers.discard(reader)


def event(html: str) -> bytes:
    """Return an event with this data; without data, a comment."""
    if not html:
        return b": nothing has changed\n\n"
    return "".join(f"data: {line}\n" for line in html.splitlines()).encode() + b"\n"
