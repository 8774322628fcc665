"""The interface of a reader, which turns the bytes of an answer into events; each API over HTTP has one."""

from __future__ import annotations

from typing import Protocol

from claude_max_proxy.errors import ProxyError
from claude_max_proxy.events import Event


class Reader(Protocol):
    """Reads one answer. ``ended`` says that its last event was read, ``error`` why it failed, if it did."""

    ended: bool
    error: ProxyError | None

    def feed(self, piece: bytes) -> list[Event]:
        """Take the next piece of the body, and return the events that it completes.

        Raises :class:`ValueError` or ``msgspec.DecodeError`` if this is not an answer of the API.
        """

    def finish(self) -> list[Event]:
        """Take note of the end of the body, and return the events that are still missing."""
