"""A reverse proxy that takes away the beginning of every path, as people put one before their programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.end_to_end.running import RunningProxy


@asynccontextmanager
async def stripping(proxy: RunningProxy, prefix: str) -> AsyncIterator[str]:
    """Serve ``proxy`` below ``prefix``, one request to a connection; yield the URL there."""
    host, _, port = proxy.url.rpartition("//")[2].rpartition(":")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, rest = head.split(" ", 2)
            if not target.startswith(f"{prefix}/"):
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                writer.close()
                return
            lines = [line for line in rest.split("\r\n") if not line.lower().startswith("connection:")]
            lines[1:1] = ["Connection: close", f"X-Forwarded-Prefix: {prefix}"]
            inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
            inner_writer.write(f"{method} {target.removeprefix(prefix)} ".encode("latin-1"))
            inner_writer.write("\r\n".join(lines).encode("latin-1"))
            asking = asyncio.get_running_loop().create_task(_pipe(reader, inner_writer))
            await _pipe(inner_reader, writer)
            asking.cancel()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{prefix}"
    finally:
        server.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass everything on; whichever side ends first ends the other one."""
    with suppress(OSError):
        try:
            while piece := await reader.read(65_536):
                writer.write(piece)
                await writer.drain()
        finally:
            writer.close()
