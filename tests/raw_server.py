"""A server that answers with exactly the bytes that a test gives it, for what no proper server would send."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Self

from claude_max_proxy.concurrency.tasks import Tasks


Step = bytes | float
CLOSE = -1.0


class RawServer:
    """Answers each request with the next script of bytes and pauses; ``CLOSE`` hangs up.

    ``heard`` holds every request as it came, ``connections`` counts those that were made, ``left`` is set
    when a client hung up.
    """

    def __init__(self, *scripts: list[Step]) -> None:
        """Prepare to answer with one of ``scripts`` after the other."""
        self.scripts = deque(scripts)
        self.heard: list[bytes] = []
        self.connections = 0
        self.left = asyncio.Event()
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

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.start(self._serve(reader, writer), "raw-connection")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _request(reader):
                self.heard.append(request)
                for step in self.scripts.popleft():
                    if isinstance(step, bytes):
                        writer.write(step)
                        await writer.drain()
                    elif step == CLOSE:
                        return
                    else:
                        await self._pause(step, reader)
            self.left.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            writer.close()

    async def _pause(self, seconds: float, reader: asyncio.StreamReader) -> None:
        """Wait, and return whether the client leaves meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await reader.readexactly(1)
        except TimeoutError:
            pass


async def _request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    return head + await reader.readexactly(length)


def whole(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return an answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """Return an answer in chunks, with its end."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
