"""One request and its answer on a connection: uvicorn's, for clients that are old or half gone too.

It builds on uvicorn's insides, so ``pyproject.toml`` says with which versions.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


_BEGINNING = b"HTTP/1.1 "


class Exchange(RequestResponseCycle):
    """A request and its answer."""

    def probe(self) -> None:
        """Send something that a client who listens does not mind.

        The machine of one who has closed answers it with a reset, which ends the connection at the next
        write. Before the answer has begun it is the next byte of what every answer begins with; in a stream,
        whoever sends it is woken, to send a keep-alive.
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


class OldExchange(Exchange):
    """One of HTTP/1.0, which knows no chunks: an answer of unknown length ends with the connection."""

    _unbounded = False

    async def send(self, message: Any) -> None:
        """Send what the application says."""
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
    """The transport of an answer whose first bytes went before it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._sent = 0
        self.close = transport.close
        self.is_closing = transport.is_closing

    def probe(self) -> None:
        """Send the next byte, as long as there is one that every answer has."""
        if self._sent < len(_BEGINNING):
            self._transport.write(_BEGINNING[self._sent : self._sent + 1])
            self._sent += 1

    def write(self, data: bytes) -> None:
        """Send what comes after them."""
        self._transport.write(data[self._sent :])
        self._sent = 0
