"""A client's API: the contract that every dialect keeps. Dialects are pure; the server does their I/O."""

from __future__ import annotations

from typing import Protocol

from claude_max_proxy.errors import ProxyError
from claude_max_proxy.events import Event, Reply
from claude_max_proxy.request import Request


class Writer(Protocol):
    """Writes one answer. One per request; it may keep state from event to event."""

    def write(self, event: Event) -> bytes:
        """Give the bytes that this event adds to a streamed answer, none if it adds nothing."""

    def keep_alive(self) -> bytes:
        """Give bytes that show a waiting client that the answer goes on."""

    def whole(self, reply: Reply) -> bytes:
        """Give the body of a whole answer. ``reply.error`` is never set here."""


class Dialect(Protocol):
    """Reads a client API into a Request and writes Events out again.

    ``body``, which a dialect may leave out, is the type of its requests' bodies, for ``/openapi.json``.
    """

    name: str
    routes: tuple[str, ...]

    def read(self, body: bytes) -> Request:
        """Read a request's body; raise :class:`ClientError` with the path of the first wrong field."""

    def writer(self, request: Request) -> Writer:
        """Begin the answer to ``request``."""

    def error(self, error: ProxyError) -> bytes:
        """Write a failure in this API's own envelope."""
