"""A provider whose behaviour attacks choose: its port stays the same, but its answers change."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from claude_max_proxy.concurrency.tasks import Tasks
from tests.attack.wire import GONE
from tests.raw_server import whole


Behaviour = Callable[[bytes, "Writer"], Awaitable[None]]
_LARGEST = 50_000_000


class Writer:
    """Writes an answer; each write waits until there is room, and raises if the other side has left."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.sent = 0

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()
        self.sent += len(data)
        await asyncio.sleep(0)


async def _fail(_: bytes, writer: Writer) -> None:
    await writer.write(whole(b'{"error": {"message": "nothing is scripted"}}', "500 Internal Server Error"))


class Evil:
    """A server on 127.0.0.1; `heard` counts its requests, `open` those that it still answers.

    A behaviour writes an answer, which may be any bytes, and then the connection is closed.
    """

    def __init__(self) -> None:
        self.behaviour: Behaviour = _fail
        self.heard = 0
        self.open = 0
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        """Begin to serve."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._server.close()
        await self._tasks.close()
        await asyncio.sleep(0)  # the transports are closed in the loop's next round

    def reset(self) -> None:
        """Forget all requests, and answer only with errors."""
        self.behaviour, self.heard = _fail, 0

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.start(self._serve(reader, writer), "evil-connection")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            with contextlib.suppress(*GONE, ValueError):
                request = await _request(reader)
                self.heard += 1
                await self.behaviour(request, Writer(writer))
        finally:
            self.open -= 1
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    return head + await reader.readexactly(min(length, _LARGEST))
