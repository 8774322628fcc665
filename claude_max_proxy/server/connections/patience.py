"""Limits how long a connection waits for its client: for headers, for a body, and for an answer to be read.

Each wait is one timer. A slow connection is allowed: a body may take hours to arrive as long as it grows, and
a client may take as long to read an answer. If nothing happens, the connection is ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec


LEAST_RATE = 1000  # by how many bytes per second a body must grow
HELD_FOR = 1.0  # seconds until a client that is held, because of us, is looked at again


class Timeouts(Protocol):
    """The settings in ``[server]`` that count here; all are in seconds."""

    @property
    def header_timeout(self) -> float:
        """How long the headers may take, from their first byte on."""

    @property
    def body_timeout(self) -> float:
        """How long a body may take to be complete or to grow."""

    @property
    def write_timeout(self) -> float:
        """How long a client may take until it reads something."""


class Waiting(msgspec.Struct, frozen=True):
    """The functions of a connection that are called here.

    ``held`` returns whether the client cannot go on because of us, ``received`` how many bytes of the body
    have arrived, and ``unsent`` how many bytes of an answer the client has not taken yet. The others are
    called when a wait has taken too long.
    """

    held: Callable[[], bool]
    received: Callable[[], int]
    unsent: Callable[[], int]
    no_head: Callable[[], None]
    no_body: Callable[[], None]
    no_reader: Callable[[], None]


class Patience:
    """The timers of one connection."""

    def __init__(self, timeouts: Callable[[], Timeouts], waiting: Waiting) -> None:
        """Prepare; no timer runs yet."""
        self._timeouts = timeouts
        self._waiting = waiting
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.TimerHandle | None = None
        self._for_head = False
        self._writing: asyncio.TimerHandle | None = None

    def head(self) -> None:
        """Limit the wait for the rest of a head; the time counts from the first call."""
        if self._reading is None or not self._for_head:
            self.nothing()
            self._for_head = True
            self._reading = self._loop.call_later(self._timeouts().header_timeout, self._no_head)

    def body(self) -> None:
        """Limit the wait for the rest of a body."""
        if self._reading is None or self._for_head:
            self.nothing()
            self._for_head = False
            self._see_body(self._waiting.received())

    def nothing(self) -> None:
        """Stop waiting for a head or a body."""
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def reader(self) -> None:
        """Limit the wait until the client has read what was sent."""
        if self._writing is None:
            self._see_reader(self._waiting.unsent())

    def read(self) -> None:
        """Stop waiting for the client to read, since it has."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def close(self) -> None:
        """Stop all timers."""
        self.nothing()
        self.read()

    def _no_head(self) -> None:
        self._reading = None
        if self._waiting.held():
            self.head()
        else:
            self._waiting.no_head()

    def _see_body(self, before: int) -> None:
        """Look at the body again after a while; the time of a client begins when it is no longer held."""
        timeout = self._timeouts().body_timeout
        if self._waiting.held():
            self._reading = self._loop.call_later(min(timeout, HELD_FOR), self._no_body, 0.0)
        else:
            self._reading = self._loop.call_later(timeout, self._no_body, before + timeout * LEAST_RATE)

    def _no_body(self, least: float) -> None:
        self._reading = None
        if self._waiting.held() or self._waiting.received() >= least:
            self._see_body(self._waiting.received())
        else:
            self._waiting.no_body()

    def _see_reader(self, before: int) -> None:
        self._writing = self._loop.call_later(self._timeouts().write_timeout, self._no_reader, before)

    def _no_reader(self, before: int) -> None:
        self._writing = None
        now = self._waiting.unsent()
        if now < before:
            self._see_reader(now)
        else:
            self._waiting.no_reader()
