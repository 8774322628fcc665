"""The pool of HTTP/1.1 connections: aiohttp's, behind httpx's interface.

We add four things that aiohttp does not do by itself: it tells whether a connection was used before, drops an
idle connection over which something arrived, wakes the reader when the framing breaks, and hangs up without
first sending the rest of the request.
"""

from __future__ import annotations

import asyncio
import ssl
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

import aiohttp
import httpx
import msgspec
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from httpx_aiohttp import AiohttpTransport


# How long idle connections are kept, in seconds. nginx and the large APIs keep them for 60 s or more, Go
# without a limit, uvicorn for only 5 s: a connection that the server closes just when it is used is replaced.
KEEP_ALIVE = 30.0
_HEADER_LIMIT = 64 * 1024


class Line(msgspec.Struct):
    """The connection that a request was sent over; ``used`` says that it was used before."""

    transport: asyncio.Transport | None
    used: bool


newest: ContextVar[Line | None] = ContextVar("newest", default=None)
"""The connection of the current task's newest request, once it has one."""


def pooled_by_aiohttp(tls: ssl.SSLContext | None) -> httpx.AsyncBaseTransport:
    """Return a transport without a limit on connections, and without cookies."""

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=_Connector(limit=0, keepalive_timeout=KEEP_ALIVE, ssl=tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
        )

    # Where TLS is not needed, an empty context avoids reading all the certificates.
    return AiohttpTransport(verify=tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), client=session)


class _Connector(aiohttp.TCPConnector):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: WeakSet[object] = WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """Return a connection, but none over which something arrived while it was idle."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            assert protocol is not None
            if protocol.should_close:
                connection.close()
                continue
            used = protocol in self._used
            newest.set(Line(connection.transport, used))
            if not used:
                self._used.add(protocol)
                if protocol.closed is not None:
                    # Otherwise asyncio would log that nobody has read the future's exception.
                    protocol.closed.add_done_callback(asyncio.Future.exception)
            return connection


class _Response(aiohttp.ClientResponse):
    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the head. From then on, the answer ends when its connection does."""
        self._line = connection
        ended = connection.protocol.closed if connection.protocol is not None else None
        await super().start(connection)
        if ended is None:
            return self

        def complete() -> None:
            ended.remove_done_callback(self._end)

        ended.add_done_callback(self._end)
        self.content.on_eof(complete)
        return self

    def release(self) -> Any:
        """Abort the connection before the end of an answer: closing would first send unsent data."""
        if self._line.transport is not None and not self.content.is_eof():
            self._line.transport.abort()
        return super().release()

    def _end(self, _: asyncio.Future[None]) -> None:
        if not self.content.is_eof():
            self.close()
