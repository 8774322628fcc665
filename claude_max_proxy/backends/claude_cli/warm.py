"""The processes that nobody has spoken to, by kind, and which kinds are worth having them."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable

from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.backends.claude_cli.process import CliProcess


_LONGEST_BACKOFF = 60.0
_SHORTEST_BACKOFF = 1.0

_Entry = tuple[CliProcess, float, int]


class Warm:
    """Warm processes, each with the time and the day of its start.

    The CLI may keep the date of its start, so none is used on another day. Kinds that could not be started
    wait for a while.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._ready: dict[Kind, deque[_Entry]] = defaultdict(deque)
        self._used: dict[Kind, float] = {}
        self._backoff: dict[Kind, tuple[float, float]] = {}

    @property
    def processes(self) -> list[CliProcess]:
        """All of them."""
        return [process for ready in self._ready.values() for process, *_ in ready]

    def count(self, kind: Kind) -> int:
        """Count those of a kind."""
        return len(self._ready[kind])

    def add(self, process: CliProcess) -> None:
        """Keep a process that was just started."""
        self._ready[process.kind].append((process, time.monotonic(), _today()))

    def take(self, kind: Kind) -> CliProcess | None:
        """Take the oldest of a kind that still lives."""
        while self._ready[kind]:
            process, *_ = self._ready[kind].popleft()
            if process.alive:
                return process
        return None

    def take_any(self) -> CliProcess | None:
        """Take one of whatever kind."""
        return next((ready.popleft()[0] for ready in self._ready.values() if ready), None)

    def take_older_than(self, age: float) -> list[CliProcess]:
        """Take all that were started longer than ``age`` seconds ago, or on another day."""
        limit, old = time.monotonic() - age, []
        for ready in self._ready.values():
            while ready and (ready[0][1] < limit or ready[0][2] != _today()):
                old.append(ready.popleft()[0])
        return old

    def idle(self, seconds: float) -> list[CliProcess]:
        """Return those that were started longer ago, and have rehearsed."""
        limit = time.monotonic() - seconds
        every = (entry for ready in self._ready.values() for entry in ready)
        return [process for process, since, _ in every if since < limit and process.rehearsed.is_set()]

    def lose(self, process: CliProcess) -> bool:
        """Forget a process that has ended, and say whether it was one of these."""
        ready = self._ready[process.kind]
        for one in [one for one in ready if one[0] is process]:
            ready.remove(one)
            return True
        return False

    # --- kinds

    def use(self, kinds: Iterable[Kind]) -> None:
        """Note that these are used now."""
        self._used.update(dict.fromkeys(kinds, time.monotonic()))

    def used_within(self, seconds: float) -> list[Kind]:
        """Return the kinds used lately, and forget all others: their names are the clients' choice."""
        limit = time.monotonic() - seconds
        self._used = {kind: used for kind, used in self._used.items() if used > limit}
        for known in (self._ready, self._backoff):
            for kind in [kind for kind in known if kind not in self._used and not self._ready.get(kind)]:
                del known[kind]
        return list(self._used)

    def may_start(self, kind: Kind) -> bool:
        """Tell whether a kind may be tried now."""
        until, _ = self._backoff.get(kind, (0.0, 0.0))
        return until <= time.monotonic()

    def works(self, kind: Kind) -> None:
        """Note that one of a kind has answered."""
        self._backoff.pop(kind, None)

    def back_off(self, kind: Kind) -> None:
        """Note that a kind could not be started, or ended by itself: the next try waits twice as long."""
        _, last = self._backoff.get(kind, (0.0, _SHORTEST_BACKOFF / 2))
        pause = min(last * 2, _LONGEST_BACKOFF)
        self._backoff[kind] = (time.monotonic() + pause, pause)


def _today() -> int:
    return time.localtime().tm_yday
