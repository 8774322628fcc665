"""The places for the processes of one backend, shared by all of its generations.

When a reload changes the settings, a new backend is built while the previous one still answers its requests.
The processes of both count against the bounds of the newer one, and idle processes of the older one are
ended.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from claude_max_proxy.backends.claude_cli.memory import MemoryBudget, read_size
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings


class Holder(Protocol):
    """The pool of one generation. ``reserved`` counts the places of processes that are being started."""

    settings: ClaudeCliSettings
    reserved: int

    @property
    def processes(self) -> Collection[CliProcess]:
        """All processes that live, including those that are ending."""

    @property
    def ending(self) -> Collection[CliProcess]:
        """The processes that are ending."""

    def serve(self) -> None:
        """Serve the requests that wait, since there may be room now."""

    def evict(self) -> CliProcess | None:
        """End an idle process and return it; return ``None`` if there is none."""

    def retire(self) -> None:
        """End all idle processes, since a newer generation has begun."""


class Places:
    """The places that the pools of one backend share. The newest pool's settings are the bounds."""

    def __init__(self) -> None:
        """Begin without any pool."""
        self._holders: list[Holder] = []
        self._budget = MemoryBudget(None)

    def join(self, holder: Holder) -> None:
        """Add a pool, unless it is one of these already; its bounds apply, and the pools before it retire."""
        if holder in self._holders:
            return

        before = list(self._holders)
        self._holders.append(holder)
        self._bound()
        for one in before:
            one.retire()

    def leave(self, holder: Holder) -> None:
        """Remove a pool whose processes have ended; the newest pool that is left sets the bounds."""
        if holder in self._holders:
            self._holders.remove(holder)
            self._bound()
            self.freed()

    def is_newest(self, holder: Holder) -> bool:
        """Return whether there is no newer generation."""
        return not self._holders or self._holders[-1] is holder

    @property
    def leaving(self) -> int:
        """How many processes are ending."""
        return sum(len(holder.ending) for holder in self._holders)

    @property
    def limit(self) -> int:
        """How many processes there may be at most."""
        return self._holders[-1].settings.max_processes

    def has_room(self) -> bool:
        """Return whether one more process may start."""
        reserved = sum(holder.reserved for holder in self._holders)
        there = self._pids()
        return len(there) + reserved < self.limit and self._budget.allows(there, reserved + 1)

    def freed(self) -> None:
        """Let every pool use the room that there is now, the oldest generation first."""
        for holder in list(self._holders):
            holder.serve()

    def evict_elsewhere(self, holder: Holder) -> CliProcess | None:
        """End an idle process of another generation and return it; return ``None`` if there is none."""
        others = (other for other in self._holders if other is not holder)
        return next((process for other in others if (process := other.evict())), None)

    # --- memory

    @property
    def bounds_memory(self) -> bool:
        """Whether there is a limit on the memory of processes."""
        return self._budget.limit is not None

    def measure(self) -> None:
        """Measure each process's memory, which takes a millisecond or two for each."""
        self._budget.measure(self._pids())

    def excess(self) -> int:
        """Return by how many bytes the processes that are not ending exceed the limit."""
        pids = [one.pid for holder in self._holders for one in holder.processes if one not in holder.ending]
        return self._budget.excess(pids)

    def size(self, process: CliProcess) -> int:
        """Return how many bytes a process uses, an assumed size if it was not measured yet."""
        return self._budget.size(process.pid)

    def _pids(self) -> list[int]:
        return [process.pid for holder in self._holders for process in holder.processes]

    def _bound(self) -> None:
        limit = read_size(self._holders[-1].settings.max_memory) if self._holders else None
        self._budget.limit = limit
