"""The direct way to an API: HTTP/1.1 over connections of our own, kept alive and used again."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping

from claude_max_proxy.http_upstream.connection import Connection
from claude_max_proxy.http_upstream.endpoint import Endpoint
from claude_max_proxy.http_upstream.exchange import ConnectionBroken


# Shorter than what servers keep idle connections for: uvicorn 5 s, Go none, nginx and the large APIs 60 s
# and more. One that was closed in this very moment is noticed and replaced.
_KEEP_ALIVE = 30.0


class Direct:
    """Connections to one endpoint, as many as are asked for at once."""

    def __init__(self, endpoint: Endpoint, connect_timeout: float, tls: ssl.SSLContext | None) -> None:
        """Prepare; nothing is opened before the first request. ``tls`` is needed where the endpoint is."""
        self._endpoint = endpoint
        self._connect_timeout = connect_timeout
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        lines = [f"{name}: {text}\r\n" for name, text in endpoint.headers]
        self._head = f" HTTP/1.1\r\nhost: {endpoint.authority}\r\n{''.join(lines)}content-length: ".encode()
        self._tls = tls if endpoint.tls else None

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Connection:
        """Ask over an idle connection or a new one.

        One that was idle may have been closed by the other side in that moment. Then nothing was answered,
        and another is taken.
        """
        target = self._endpoint.target(path).encode()
        more = "".join(f"{name}: {text}\r\n" for name, text in headers.items()).encode("latin-1")
        message = b"POST %b%b%d\r\n%b\r\n%b" % (target, self._head, len(body), more, body)
        while True:
            connection, used = await self._take()
            try:
                await connection.ask(message)
            except ConnectionBroken:
                self._discard(connection)
                if not (used and connection.untouched):
                    raise
            except BaseException:
                self._discard(connection)
                raise
            else:
                return connection

    async def close(self) -> None:
        """Hang up everywhere."""
        for connection in [*self._idle, *self._busy]:
            connection.abort()
        self._idle.clear()

    async def _take(self) -> tuple[Connection, bool]:
        """Give a connection, and whether it was used before."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost and time.monotonic() - connection.idle_since < _KEEP_ALIVE:
                self._busy.add(connection)
                return connection, True
            connection.abort()
        connection = await self._connect()
        self._busy.add(connection)
        return connection, False

    async def _connect(self) -> Connection:
        endpoint = self._endpoint
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._done), endpoint.host, endpoint.port, ssl=self._tls
                )
        except TimeoutError as error:
            raise ConnectionBroken(f"no connection within {self._connect_timeout:g} s") from error
        except OSError as error:  # also what TLS refuses
            raise ConnectionBroken(f"no connection: {error.strerror or error}") from error
        return connection

    def _discard(self, connection: Connection) -> None:
        connection.abort()
        self._busy.discard(connection)

    def _done(self, connection: Connection) -> None:
        if connection not in self._busy:
            return

        self._busy.discard(connection)
        if not connection.lost:
            self._idle.append(connection)
