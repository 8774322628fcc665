"""A client's API: the contract that every dialect keeps. Dialects are pure; the server does their I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, runtime_checkable

import msgspec

from claude_max_proxy.errors import ProxyError
from claude_max_proxy.events import Event, Reply
from claude_max_proxy.request import Client, Request


class Writer(Protocol):
    """Writes one answer. One per request; it may keep state from event to event."""

    def write(self, event: Event) -> bytes:
        """Return the bytes that this event adds to a streamed answer, none if it adds nothing."""

    def keep_alive(self) -> bytes:
        """Return bytes that show a waiting client that the answer goes on."""

    def whole(self, reply: Reply) -> bytes:
        """Return the body of a whole answer. ``reply.error`` is never set here."""


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


# --- what a dialect may have beyond that: each by itself, recognised by its members


@runtime_checkable
class HeaderReader(Protocol):
    """What a dialect offers beside, when its API says something in headers too."""

    def read_headers(self, request: Request, headers: Mapping[str, str]) -> None:
        """Take note in ``request`` of what its headers ask; their names are in lower case."""


@runtime_checkable
class StatusWriter(Protocol):
    """What a dialect offers beside, when its API has statuses of its own."""

    def status(self, error: ProxyError) -> int:
        """Return the HTTP status of a failure."""


@runtime_checkable
class CountingDialect(Protocol):
    """What a dialect offers beside, when its API counts tokens.

    ``count_body``, which it may leave out, is the type of such a request's body, for ``/openapi.json``.
    """

    count_routes: tuple[str, ...]

    def read_count(self, body: bytes) -> Request:
        """Read the body of a request for a count; raise :class:`ClientError` as :meth:`Dialect.read` does."""

    def write_count(self, tokens: int) -> bytes:
        """Write a count."""


class Call(msgspec.Struct, frozen=True):
    """One request on a further route: the path's parameters, the query's, the body, and who asks."""

    parameters: dict[str, str]
    query: dict[str, str]
    client: Client
    body: bytes = b""


class Route(msgspec.Struct, frozen=True):
    """A further route, answered by the dialect itself and without a model.

    ``path`` may hold parameters, one segment each: ``/v1/things/{id}``. ``answer`` gives the body of a 200,
    or raises a :class:`ProxyError`, which is sent in the dialect's envelope. ``summary`` describes it in
    ``/openapi.json``.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    answer: Callable[[Call], bytes]
    summary: str = ""


@runtime_checkable
class Routed(Protocol):
    """A dialect with further routes."""

    further_routes: tuple[Route, ...]


@runtime_checkable
class Remembering(Protocol):
    """A dialect that remembers, in memory and within bounds, what it answered."""

    def resume(self, request: Request) -> None:
        """Add what ``request`` refers to, when it is known who asks: :meth:`Dialect.read` does not know.

        Called once, before anything else sees the request; raises :class:`ClientError` for what is not there.
        """

    def take_over(self, before: Dialect) -> None:
        """Go on with what ``before`` remembers: the dialect of this name in the configuration before."""


def status_of(error: ProxyError, dialect: Dialect) -> int:
    """Return the HTTP status that a failure has in a dialect."""
    return dialect.status(error) if isinstance(dialect, StatusWriter) else error.status
