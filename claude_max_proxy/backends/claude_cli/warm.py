"""The warm processes, to which nobody has spoken yet, and the kinds of which processes should be warm."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterable

from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind


_LONGEST_BACKOFF = 60.0
_SHORTEST_BACKOFF = 1.0

_Entry = tuple[CliProcess, float, int]


class Warm:
    """The warm processes, each with the time and the day of its start.

    The CLI may remember the date of its start, so processes are not used on another day. A kind that could
    not be started is not tried again for a while.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._ready: dict[ProcessKind, deque[_Entry]] = defaultdict(deque)
        self._used: dict[ProcessKind, float] = {}
        self._backoff: dict[ProcessKind, tuple[float, float]] = {}

    @property
    def processes(self) -> list[CliProcess]:
        """All warm processes."""
        return [process for ready in self._ready.values() for process, *_ in ready]

    def count(self, kind: ProcessKind) -> int:
        """Return how many warm processes there are of a kind."""
        return len(self._ready[kind])

    def add(self, process: CliProcess) -> None:
        """Add a process that was just started."""
        self._ready[process.kind].append((process, time.monotonic(), _today()))

    def take(self, kind: ProcessKind) -> CliProcess | None:
        """Remove and return the oldest process of a kind that still runs, or ``None``."""
        while self._ready[kind]:
            process, *_ = self._ready[kind].popleft()
            if process.alive:
                return process
        return None

    def take_any(self) -> CliProcess | None:
        """Remove and return a process of any kind, or ``None``."""
        return next((ready.popleft()[0] for ready in self._ready.values() if ready), None)

    def take_older_than(self, age: float) -> list[CliProcess]:
        """Remove and return all processes started more than ``age`` seconds ago, or on another day."""
        limit, old = time.monotonic() - age, []
        for ready in self._ready.values():
            while ready and (ready[0][1] < limit or ready[0][2] != _today()):
                old.append(ready.popleft()[0])
        return old

    def idle(self, seconds: float) -> list[CliProcess]:
        """Return the processes started more than ``seconds`` ago that have finished their rehearsal."""
        limit = time.monotonic() - seconds
        every = (entry for ready in self._ready.values() for entry in ready)
        return [process for process, since, _ in every if since < limit and process.rehearsed.is_set()]

    def lose(self, process: CliProcess) -> bool:
        """Remove a process; return whether it was one of the warm ones."""
        ready = self._ready[process.kind]
        for one in [one for one in ready if one[0] is process]:
            ready.remove(one)
            return True
        return False

    # --- kinds

    def use(self, kinds: Iterable[ProcessKind]) -> None:
        """Note that these kinds are used now."""
        self._used.update(dict.fromkeys(kinds, time.monotonic()))

    def used_within(self, seconds: float) -> list[ProcessKind]:
        """Return the kinds used within ``seconds``.

        All others are forgotten: clients choose the models, so the number of kinds must be bounded.
        """
        limit = time.monotonic() - seconds
        self._used = {kind: used for kind, used in self._used.items() if used > limit}
        for known in (self._ready, self._backoff):
            for kind in [kind for kind in known if kind not in self._used and not self._ready.get(kind)]:
                del known[kind]
        return list(self._used)

    def may_start(self, kind: ProcessKind) -> bool:
        """Return whether a process of this kind may be started now."""
        until, _ = self._backoff.get(kind, (0.0, 0.0))
        return until <= time.monotonic()

    def works(self, kind: ProcessKind) -> None:
        """Note that a process of this kind has answered."""
        self._backoff.pop(kind, None)

    def back_off(self, kind: ProcessKind) -> None:
        """Note that a process of this kind could not be started, or ended by itself.

        The pause until the next try doubles each time, up to a minute.
        """
        _, last = self._backoff.get(kind, (0.0, _SHORTEST_BACKOFF / 2))
        pause = min(last * 2, _LONGEST_BACKOFF)
        self._backoff[kind] = (time.monotonic() + pause, pause)


def _today() -> int:
    return time.localtime().tm_yday
