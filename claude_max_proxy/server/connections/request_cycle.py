"""One request and its answer on a connection: uvicorn's, extended for old clients and half-closed ones.

It depends on uvicorn's internals, so ``pyproject.toml`` limits the versions of uvicorn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from claude_max_proxy.errors import ProxyError


_BEGINNING = b"HTTP/1.1 "


class RequestCycle(RequestResponseCycle):
    """A request and its answer."""

    _failure: ProxyError | None = None

    async def run_asgi(self, app: Any) -> None:
        """Let the application answer; if it is cancelled before it has begun, send at least the error."""

        async def answered(scope: Any, receive: Any, send: Any) -> None:
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:
                if self._failure is not None and not self.response_started and not self.disconnected:
                    scope["state"]["refused"] = self._failure
                    await app(scope, receive, send)
                elif not self.response_complete:
                    self.disconnected = True  # this stops whatever would write more
                    self.transport.close()

        await super().run_asgi(answered)

    async def receive(self) -> Any:
        """Return the next message about the request; raise the error with which :meth:`fail` was called."""
        message = None if self._failure else await super().receive()
        if self._failure is not None and not self.response_complete and not self.disconnected:
            raise self._failure
        return message or {"type": "http.disconnect"}

    def fail(self, error: ProxyError) -> None:
        """Make the application answer with this error, after which the connection is closed."""
        self._failure = error
        self.keep_alive = False
        self.message_event.set()

    def close_by(self, close: Callable[[], None]) -> None:
        """Make the connection be closed by calling ``close`` after this answer."""
        self.transport = _Closing(self.transport, close)  # type: ignore[assignment]  # it does what is asked of it here

    def probe(self) -> None:
        """Send something harmless, to find out whether the client is still there.

        If it has closed the connection, its machine answers with a reset, so that the next write fails.
        Before the answer has begun, a probe is the next byte of what every answer begins with. In a stream,
        the code that sends it is woken and sends a keep-alive.
        """
        if self.response_started:
            self.message_event.set()
            return

        if not isinstance(self.transport, _Begun):
            self.transport = _Begun(self.transport)  # type: ignore[assignment]  # it does what is asked of it here
        self.transport.probe()  # type: ignore[attr-defined]  # as above

    def lose(self) -> None:
        """Note that the client is gone."""
        self.disconnected = not self.response_complete
        self.message_event.set()


class OldRequestCycle(RequestCycle):
    """A request of HTTP/1.0, which has no chunks: an answer of unknown length ends with the connection."""

    _unbounded = False

    async def send(self, message: Any) -> None:
        """Send a message of the application's."""
        if message["type"] == "http.response.start":
            message = self._begin(message)
        elif self._unbounded:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)

    def _begin(self, message: Any) -> Any:
        headers = list(message.get("headers", []))
        if not any(name.lower() == b"content-length" for name, _ in headers):
            self._unbounded = True
            self.chunked_encoding = False
            self.keep_alive = False
        elif self.keep_alive:
            headers.append((b"connection", b"keep-alive"))
        return {**message, "headers": headers}


class _Begun:
    """The transport of an answer whose first bytes have already been sent as probes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._sent = 0
        self.close = transport.close
        self.is_closing = transport.is_closing

    def probe(self) -> None:
        """Send the next byte of the beginning that every answer has, as long as there is one."""
        if self._sent < len(_BEGINNING):
            self._transport.write(_BEGINNING[self._sent : self._sent + 1])
            self._sent += 1

    def write(self, data: bytes) -> None:
        """Send the answer without the bytes that have already been sent."""
        self._transport.write(data[self._sent :])
        self._sent = 0


class _Closing:
    """The transport of an answer after which the connection is closed by calling ``close``."""

    def __init__(self, transport: Any, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close
