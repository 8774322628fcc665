"""Connections of an attacker, who sends any bytes in any rhythm, and never waits without a limit."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager


PIECE = 65536
GONE = (ConnectionError, asyncio.IncompleteReadError, BrokenPipeError, OSError)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.sent = 0

    async def say(self, data: bytes) -> bool:
        """Send bytes; return false if the other side has closed the connection."""
        try:
            self._writer.write(data)
            await self._writer.drain()
        except GONE:
            return False
        self.sent += len(data)
        return not self._reader.at_eof()

    async def say_all(self, pieces: Iterable[bytes]) -> bool:
        """Send pieces until all are sent, or until the other side answers and ends the connection."""
        for piece in pieces:
            if not await self.say(piece):
                return False
            await asyncio.sleep(0)
        return True

    async def hear(self, within: float, most: int = 1_000_000) -> bytes:
        """Return what comes until the end, until a silence of this many seconds, or until this many bytes."""
        data = b""
        with contextlib.suppress(TimeoutError, *GONE):
            while len(data) < most:
                async with asyncio.timeout(within):
                    piece = await self._reader.read(PIECE)
                if not piece:
                    break
                data += piece
        return data

    async def ended(self, within: float) -> bool:
        """Wait for the other side to close the connection; return whether it did."""
        try:
            async with asyncio.timeout(within):
                while await self._reader.read(PIECE):
                    pass
        except TimeoutError:
            return False
        except GONE:
            return True
        return True

    def say_no_more(self) -> None:
        """End only the sending side."""
        with contextlib.suppress(*GONE):
            self._writer.write_eof()

    def reset(self) -> None:
        """Reset the connection, as a crashed machine does."""
        sock = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def leave(self) -> None:
        """Close the connection."""
        self._writer.transport.abort()


@asynccontextmanager
async def connected(port: int, *, buffer: int = 0) -> AsyncIterator[Wire]:
    """Connect to a port of this machine; `buffer` limits the receive buffer, in bytes."""
    sock = socket.socket()
    sock.setblocking(False)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    try:
        async with asyncio.timeout(20):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=buffer or 2**16)
    except BaseException:
        sock.close()
        raise
    wire = Wire(reader, writer)
    try:
        yield wire
    finally:
        wire.leave()
        await asyncio.sleep(0)  # the transport is closed in the loop's next round


def statuses(reply: bytes) -> list[int]:
    """Return the statuses of the answers on one connection."""
    words = [piece[:3] for piece in reply.split(b"HTTP/1.1 ")[1:]]
    return [int(word) for word in words if word.isdigit()]
