"""Dialects, which read and write the API of a client. They are pure: the server does the I/O for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from claude_max_proxy.capabilities import Capability
from claude_max_proxy.errors import ProxyError
from claude_max_proxy.events import Alternative, Event, Reply
from claude_max_proxy.request import Request
from claude_max_proxy.route import Route
from claude_max_proxy.vault import Vault


__all__ = [
    "AlternativesWriter",
    "Dialect",
    "Exchange",
    "Writer",
]


class Writer(Protocol):
    """Writes one answer. Each exchange has its own writer, which may keep state between events."""

    def write(self, event: Event) -> bytes:
        """Return the bytes that this event adds to a streamed answer; no bytes if it adds nothing."""

    def keep_alive(self) -> bytes:
        """Return bytes that show a waiting client that the answer is still being made."""

    def whole(self, reply: Reply) -> bytes:
        """Return the body of a whole answer. ``reply.error`` is never set here."""


class AlternativesWriter(Protocol):
    """Writes several answers to one request, whose events come as :class:`Alternative`."""

    def write(self, event: Event | Alternative) -> bytes:
        """Return the bytes that this event adds to a streamed answer."""

    def keep_alive(self) -> bytes:
        """Return bytes that show a waiting client that the answers are still being made."""

    def whole(self, reply: Reply) -> bytes:
        """Return the body of a whole answer with the ``reply.alternatives``."""


_Step = Callable[[], Awaitable[None] | None]


def _go_on() -> None:
    """Add nothing."""


class Exchange(msgspec.Struct):
    """One request and what writes its answer. A dialect makes one for each body that it reads.

    ``writer`` writes the answer, whole or streamed. It belongs to this exchange alone, so it can remember
    whatever the answer needs of the request.

    ``resume`` is for an API whose requests refer to earlier answers, which the dialect keeps. It adds to
    ``request`` what the request refers to. The server calls it once, when ``request.client`` says who asks
    (:meth:`Dialect.open` does not know that yet) and before anything else sees the request. It raises a
    :class:`ClientError` if the request refers to something that is not there.

    ``settle`` keeps what a later request may refer to. The server calls it once, when the answer is complete
    and before the client hears that it is. Both may be ``async``.

    If ``request.answers`` is more than 1, ``writer`` is an :class:`AlternativesWriter`.
    """

    request: Request
    writer: Writer | AlternativesWriter
    resume: _Step = _go_on
    settle: _Step = _go_on


class Dialect(ABC):
    """Reads the API of a client into Requests, and writes Events in the form of that API.

    Every dialect derives from this class and defines ``name``, ``routes`` (the paths that it serves),
    :meth:`open` and :meth:`error`. All other members are optional. When a dialect is registered, a member of
    its own whose name is close to an optional one is refused as a misspelling, unless the name begins with an
    underscore.

    ``body`` is the type of a request's body, for ``/openapi.json``. A dialect whose API counts tokens defines
    ``count_routes``, :meth:`read_count` and :meth:`write_count`; ``count_body`` is the type of such a body.
    ``capabilities`` adds names to those of :mod:`claude_max_proxy.capabilities`, for what only this API has.
    """

    name: str
    routes: tuple[str, ...]
    body: Any = None
    count_routes: tuple[str, ...] = ()
    count_body: Any = None
    capabilities: Mapping[str, Capability] = MappingProxyType({})

    @abstractmethod
    def open(self, body: bytes) -> Exchange:
        """Read the body of a request. Raises :class:`ClientError` with the path of the first wrong field."""

    @abstractmethod
    def error(self, error: ProxyError) -> bytes:
        """Return the body of a failed answer, in the envelope of this API."""

    def status(self, error: ProxyError) -> int:
        """Return the HTTP status of a failed answer."""
        return error.status

    def read_headers(self, request: Request, headers: Mapping[str, str]) -> None:
        """Add to ``request`` what its headers ask for. The names of ``headers`` are in lower case."""

    def read_count(self, body: bytes) -> Request:
        """Read the body of a request to count tokens. Raises a :class:`ClientError` as :meth:`open` does."""
        raise NotImplementedError

    def write_count(self, tokens: int) -> bytes:
        """Return the body of the answer to a request to count tokens."""
        raise NotImplementedError

    @property
    def further_routes(self) -> tuple[Route, ...]:
        """The routes that the dialect answers itself, without a model."""
        return ()

    def take_over(self, before: Dialect) -> None:
        """Take over what ``before`` remembers: the dialect of the same name in the previous configuration."""

    def share(self, vault: Vault | None) -> None:
        """Keep what is kept for clients in ``vault``, where all replicas of the proxy find it.

        Called once, after :meth:`take_over`, if ``[shared]`` names a database. ``vault`` is ``None`` if there
        is no key to seal with; a dialect that needs one raises :class:`ConfigError`.
        """

    def keep_only(self, owners: Collection[str]) -> None:
        """Forget what is kept for clients whose ``Client.owner`` is not in ``owners``, and keep nothing more.

        Called whenever a new configuration takes effect. Without API keys, ``""`` is the only owner.
        """
