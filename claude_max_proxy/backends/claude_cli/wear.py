"""Decides when a process has been used enough: nobody has seen how a CLI behaves after very long use."""

from __future__ import annotations

import time

from claude_max_proxy.backends.claude_cli.memory import resident_memory


_MOST_USES = 500
_LONGEST = 8 * 3600.0
_GROWTH = 1.5
_SETTLED_AFTER = 20  # turns after which its memory should no longer grow


class Wear:
    """The wear of one process.

    The CLI may remember the date of its start, so no new conversation begins in it on another day.
    """

    def __init__(self, pid: int) -> None:
        """Take the id of a process that was just started."""
        self.uses = 0
        self._pid = pid
        self._born = time.monotonic()
        self._day = time.localtime()[:3]
        self._memory = 0

    def use(self) -> None:
        """Count a turn."""
        self.uses += 1

    @property
    def is_another_day(self) -> bool:
        """Whether the date has changed since it was started."""
        return time.localtime()[:3] != self._day

    @property
    def is_out(self) -> bool:
        """Whether it has been used enough: too many turns, too old, or its memory has grown too much."""
        if self.uses >= _MOST_USES or time.monotonic() - self._born > _LONGEST:
            return True

        if self.uses < _SETTLED_AFTER:
            return False
        memory = resident_memory(self._pid)
        self._memory = self._memory or memory
        return memory > self._memory * _GROWTH
