"""Clients that send exactly the bytes that a test gives them, to a proxy that listens on a socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvicorn
from uvicorn.server import ServerState

from claude_max_proxy.config import ServerConfig
from claude_max_proxy.server.connections.connection import Connection


SOON = 5.0
CHAT = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}


class Heard(msgspec.Struct, frozen=True):
    """An answer as it came; the names of its headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The model's text in a whole answer."""
        text: str = msgspec.json.decode(self.body)["choices"][0]["message"]["content"]
        return text


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, *pieces: bytes) -> None:
        """Send bytes."""
        self.writer.write(b"".join(pieces))

    async def say_slowly(self, data: bytes) -> None:
        """Send bytes one by one, so that each arrives alone."""
        for position in range(len(data)):
            self.writer.write(data[position : position + 1])
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    def say_no_more(self) -> None:
        """End only the sending side."""
        self.writer.write_eof()

    async def leave(self) -> None:
        """Close the connection."""
        self.writer.close()
        await self.writer.wait_closed()

    async def hear(self, *, head: bool = False) -> Heard:
        """Wait for an answer and return it; the answer to a HEAD request has no body."""
        async with asyncio.timeout(SOON):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = [line.partition(": ")[::2] for line in lines[1:] if line]
            headers = {name.lower(): value for name, value in pairs}
            assert len(pairs) == len(headers), "a header came twice"
            body = b"" if head else await self._body(headers)
            return Heard(int(lines[0].split()[1]), headers, body)

    async def rest(self) -> bytes:
        """Wait for the end, and return what comes until then."""
        async with asyncio.timeout(SOON):
            return await self.reader.read()

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            assert "transfer-encoding" not in headers
            return await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") == "chunked":
            return await self._chunks()
        return await self.reader.read()

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            assert await self.reader.readline() == b"\r\n"
        assert await self.reader.readline() == b"\r\n"
        return body


class Listening:
    """The place where a proxy listens."""

    def __init__(self, port: int, state: ServerState, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        self._tls = tls
        self.state = state
        self._clients: list[RawClient] = []

    async def client(self) -> RawClient:
        """Connect a new client."""
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls))
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close the connections of all who are connected."""
        for client in self._clients:
            client.writer.close()


@asynccontextmanager
async def listening(
    application: Any,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    unread: int | None = None,
    **server: Any,
) -> AsyncIterator[Listening]:
    """Let an application listen as the server does, with these settings of ``[server]``.

    ``tls`` is the server's side and the clients'. ``unread`` is how many bytes of an answer the system keeps
    for a client that does not read; without it, the system decides.
    """
    config = uvicorn.Config(application, http=Connection, ws="none", log_config=None, lifespan="off")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    settings = ServerConfig(**server)
    door = await loop.create_server(
        lambda: Connection(config, state, {}, settings=lambda: settings),
        *("127.0.0.1", 0),
        ssl=tls[0] if tls else None,
    )
    if unread is not None:
        door.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, unread)
    place = Listening(door.sockets[0].getsockname()[1], state, tls[1] if tls else None)
    try:
        yield place
    finally:
        await place.close()
        door.close()
        async with asyncio.timeout(SOON):
            while state.connections or state.tasks:  # noqa: ASYNC110  # uvicorn tells nobody
                await asyncio.sleep(0.01)


def request(
    body: bytes | None = None, *headers: str, path: str = "/v1/chat/completions", version: str = "1.1"
) -> bytes:
    """Return a POST of ``body`` with its length, or a GET without a body; a Host header comes first."""
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/{version}", "Host: 127.0.0.1", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(body: bytes, *headers: str, version: str = "1.1", trailer: str = "") -> bytes:
    """Return a POST of ``body`` in chunks of seven bytes."""
    lines = ["Host: 127.0.0.1", *headers, "Content-Type: application/json", "Transfer-Encoding: chunked"]
    head = "\r\n".join([f"POST /v1/chat/completions HTTP/{version}", *lines, "", ""])
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head.encode("latin-1") + chunks + f"0\r\n{trailer}\r\n".encode()


def chat(text: str = "hi", **fields: Any) -> bytes:
    """Return a body that asks for a whole answer."""
    message = {"role": "user", "content": text}
    return msgspec.json.encode({"model": "sonnet", "messages": [message], **fields})
