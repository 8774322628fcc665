"""File descriptors: raises their limit, keeps a reserve for the proxy itself, and closes idle connections.

The system gives a new descriptor the lowest free number. So the number tells how many descriptors are in use
at least, and we need not count them.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable


if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

_MOST = 65_536  # more than the proxy ever needs; macOS refuses to set a limit above its own
_MACOS_MOST = 10_240
_SMALLEST_RESERVE, _LARGEST_RESERVE = 16, 256
_QUIET = 60.0
_FRESH = 1.0


def raise_limit() -> int:
    """Raise this program's limit on descriptors as far as the system allows; return the new limit."""
    if sys.platform == "win32":
        return _MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MACOS_MOST if sys.platform == "darwin" else _MOST
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        return soft
    return wanted


def current_limit() -> int:
    """Return how many descriptors this program may have now."""
    if sys.platform == "win32":
        return _MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if soft == resource.RLIM_INFINITY else soft


class Idle:
    """The connections on which no request is under way, in the order in which they began to wait."""

    def __init__(self) -> None:
        """Begin without connections."""
        self._waiting: dict[object, tuple[float, Callable[[], None]]] = {}

    def add(self, connection: object, close: Callable[[], None]) -> None:
        """Add a connection that waits from now on; ``close`` closes it."""
        self._waiting[connection] = (time.monotonic(), close)

    def remove(self, connection: object) -> None:
        """Remove a connection that no longer waits."""
        self._waiting.pop(connection, None)

    def close_one(self) -> bool:
        """Close the connection that has waited longest; return whether there was one.

        A connection that has waited for less than a second is not closed: its request may be on its way.
        """
        connection, (since, close) = next(iter(self._waiting.items()), (None, (0.0, None)))
        if close is None or time.monotonic() - since < _FRESH:
            return False
        del self._waiting[connection]
        close()
        return True


class Descriptors:
    """Decides which clients may connect when there are few descriptors left."""

    def __init__(self, limit: int, idle: Idle | None = None) -> None:
        """Take the limit on descriptors, and the connections that are closed first if they are needed."""
        self._given = limit
        self._set(limit)
        self.idle = idle or Idle()
        self._short_at = -_QUIET
        self._logged_at = {True: -_QUIET, False: -_QUIET}

    def admit(self, descriptor: int) -> bool:
        """Return whether a new client may connect; if need be, close the connection that is idle longest.

        ``descriptor`` is the number of the new connection.
        """
        if os.name != "posix" or descriptor < self.limit - self.reserve:
            return True

        made_room = self.idle.close_one()
        self.short(refused=not made_room)
        return made_room

    def short(self, *, refused: bool) -> None:
        """Note that there are too few descriptors; log this, and what follows from it, once a minute.

        The limit may have been changed from outside, so it is read again.
        """
        self._set(min(self._given, current_limit()))
        now = self._short_at = time.monotonic()
        if now - self._logged_at[refused] >= _QUIET:
            self._logged_at[refused] = now
            what = "new clients are refused" if refused else "idle connections are closed"
            logger.warning("%s, so %s", self.problem, what)

    def _set(self, limit: int) -> None:
        self.limit = limit
        self.reserve = max(_SMALLEST_RESERVE, min(limit // 4, _LARGEST_RESERVE))

    @property
    def problem(self) -> str:
        """What is wrong, if there were too few descriptors within the last minute; otherwise empty."""
        if time.monotonic() - self._short_at >= _QUIET:
            return ""
        return (
            f"file descriptors are running out: {self.limit - self.reserve} of {self.limit} are in use, and "
            "the rest is kept for the proxy itself; raise the limit (`ulimit -n`) before starting it"
        )
