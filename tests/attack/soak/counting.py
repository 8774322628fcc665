"""Counts how every request ended, and how the proxy's size changed meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.attack import watching
from tests.end_to_end.running import RunningProxy


KINDS = ("right", "refused", "broken off", "left", "mixed", "wrong", "unaccounted")
"""How a request may end: with the right answer; with an error, before or after its first word, of a kind that
faults may have; left by its client. The others must not be."""
BAD = ("mixed", "wrong", "unaccounted")
TOLD = "told.txt"
PLUGIN = f"""
import asyncio, threading, time
from pathlib import Path
from claude_max_proxy import hookimpl

last = 0.0

@hookimpl
async def log_request(record):
    global last
    if time.monotonic() - last > 1:
        last = time.monotonic()
        Path({TOLD!r}).write_text(f"{{len(asyncio.all_tasks())}} {{threading.active_count()}}")
"""
"""A drop-in that writes down what only the proxy itself can see: its tasks and its threads."""
# How much may be added between the first third and the end: a fraction, plus an absolute amount.
_GROWTH = {"memory": (0.15, 30.0), "descriptors": (0.15, 24.0), "tasks": (0.25, 24.0), "threads": (0.0, 6.0)}


@dataclass
class Counts:
    """The number of requests by how they ended, by API and backend, and by error."""

    by_kind: Counter[str] = field(default_factory=Counter)
    by_way: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    asked: int = 0
    slowest: float = 0.0

    def note(self, way: str, kind: str, told: str, took: float) -> None:
        """Count a request that has ended."""
        self.by_kind[kind] += 1
        self.by_way[way, kind] += 1
        if kind in {"refused", "broken off"}:
            self.errors[told] += 1
        if kind in BAD:
            self.problems.append(f"{kind}: {way}: {told}")
        if kind != "left":
            self.slowest = max(self.slowest, took)

    @property
    def open(self) -> int:
        """The number of requests that have not ended."""
        return self.asked - sum(self.by_kind.values())


@dataclass
class Sizes:
    """The proxy's sizes over time, as lists in the order of the measurements."""

    proxy: RunningProxy
    rows: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _GROWTH})
    processes: int = 0
    began: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Measure the proxy, unless it has ended."""
        with contextlib.suppress(OSError):
            size = watching.size_of(self.proxy.pid)
            self.processes = len(self.proxy.descendants())
            self.rows["memory"].append(size.memory)
            # three pipes for each process of the CLI, and the watching of its end
            self.rows["descriptors"].append(size.descriptors - 4 * self.processes)
            self.rows["threads"].append(size.threads)
        with contextlib.suppress(OSError, ValueError):
            tasks, _ = Path(self.proxy.work / TOLD).read_text().split()
            self.rows["tasks"].append(int(tasks))

    def now(self) -> str:
        """Return in a few words how large it is."""
        last = {name: row[-1] for name, row in self.rows.items() if row}
        return ", ".join(
            [*(f"{value:.0f} {_UNITS[name]}" for name, value in last.items()), f"{self.processes} processes"]
        )

    def growth(self) -> dict[str, tuple[float, float, bool]]:
        """Compare the second sixth of the time with the last; return both, and whether that is acceptable."""
        found = {}
        for name, (part, amount) in _GROWTH.items():
            row = self.rows[name]
            sixth = max(1, len(row) // 6)
            first, last = median(row[sixth : 2 * sixth] or row or [0.0]), median(row[-sixth:] or [0.0])
            found[name] = (first, last, bool(row) and last <= first * (1 + part) + amount)
        return found


_UNITS = {"memory": "MB", "descriptors": "descriptors", "tasks": "tasks", "threads": "threads"}
