"""The pool of connections of HTTP/1.1: aiohttp's, behind httpx's face.

It is told what aiohttp does not do by itself: say whether a connection was used before, drop an idle one over
which something came, wake a reader where the framing breaks, and hang up without sending the rest first.
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


# Shorter than what servers keep idle connections for: uvicorn 5 s, Go none, nginx and the large APIs 60 s
# and more. One that was closed in this very moment is noticed and replaced.
KEEP_ALIVE = 30.0
_HEADER_LIMIT = 64 * 1024


class Line(msgspec.Struct):
    """What a request went over."""

    transport: asyncio.Transport | None
    used: bool


newest: ContextVar[Line | None] = ContextVar("newest", default=None)
"""The line of the task's newest request, once it has one."""


def pooled_by_aiohttp(tls: ssl.SSLContext | None) -> httpx.AsyncBaseTransport:
    """Return a transport with as many connections as are asked for, and without cookies."""

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=_Connector(limit=0, keepalive_timeout=KEEP_ALIVE, ssl=tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            response_class=_Response,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
        )

    # Without TLS, a context that trusts nobody spares reading all the certificates.
    return AiohttpTransport(verify=tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), client=session)


class _Connector(aiohttp.TCPConnector):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: WeakSet[object] = WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """Return a connection, but none over which came what nobody asked for."""
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
                if protocol.closed is not None:  # a future whose exception somebody has to look at
                    protocol.closed.add_done_callback(asyncio.Future.exception)
            return connection


class _Response(aiohttp.ClientResponse):
    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the head; from then on, the answer ends with its connection."""
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
        """Hang up at once where the end was not reached: closing would first send what is unsent."""
        if self._line.transport is not None and not self.content.is_eof():
            self._line.transport.abort()
        return super().release()

    def _end(self, _: asyncio.Future[None]) -> None:
        if not self.content.is_eof():
            self.close()
