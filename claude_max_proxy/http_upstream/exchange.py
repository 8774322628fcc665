"""One question and its answer over HTTP: what the ways to the network have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class ConnectionBroken(Exception):
    """The connection could not be made, or ended before the answer did."""


class Exchange(Protocol):
    """An answer whose head is there. Header names are in lower case."""

    @property
    def status(self) -> int:
        """The status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""

    async def read(self) -> bytes:
        """Give all of the body that is there, waiting for some; nothing at its end.

        Raises :class:`ConnectionBroken` when it will never be whole.
        """

    async def close(self) -> None:
        """Be done with it: without its end, the connection goes at once, and with it the upstream's work."""


class Transport(Protocol):
    """A way to one API, with connections that are used again."""

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Exchange:
        """Ask, with these headers beside the endpoint's own; return when the answer's head is there.

        Raises :class:`ConnectionBroken`.
        """

    async def close(self) -> None:
        """Close every connection, within a bound."""
