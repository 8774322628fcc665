"""Divides what is used of a plan's windows among those who asked through this proxy. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from claude_max_proxy import PlanWindow
from claude_max_proxy.facts.spending import EVERYBODY, WindowUse


# What a token of each kind counts, in those of a prompt: as the provider's prices stand to one another.
_ANSWER, _CACHE_READ, _CACHE_WRITE = 5.0, 0.1, 1.25
_JITTER = 120.0  # seconds by which the times of one reset may differ
_MOST = 64


class Tokens(Protocol):
    """Numbers of tokens, of one request or of many."""

    @property
    def input_tokens(self) -> int:
        """Those of the prompts that were not cached."""

    @property
    def output_tokens(self) -> int:
        """Those of the answers."""

    @property
    def cache_read_tokens(self) -> int:
        """Those that were read from the cache."""

    @property
    def cache_write_tokens(self) -> int:
        """Those that were written to the cache."""


def weight(usage: Tokens | None) -> float:
    """Return how much of a plan these tokens use, compared with others."""
    if usage is None:
        return 0.0
    cached = _CACHE_READ * usage.cache_read_tokens + _CACHE_WRITE * usage.cache_write_tokens
    return usage.input_tokens + _ANSWER * usage.output_tokens + cached


class _Window(msgspec.Struct):
    """What is counted of one window: ``base`` was used when the count began.

    ``live`` was counted since then, and ``before`` is what the ledger knows of the time before; ``of`` has
    both, by owner. ``others`` is what other replicas have counted, and ledgers of the time before.
    """

    start: float
    base: float = 0.0
    live: float = 0.0
    before: float = 0.0
    of: dict[str, float] = msgspec.field(default_factory=lambda: defaultdict(float))
    others: WindowUse = msgspec.field(default_factory=lambda: WindowUse(0.0, 0.0))


class Counted(msgspec.Struct, frozen=True):
    """What was counted here of one window, by owner, as ``count_window`` takes it."""

    backend: str
    window: str
    start: float
    base: float
    of: dict[str, float]

    @property
    def name(self) -> str:
        """The window's name for all replicas."""
        return f"{self.backend}/{self.window}"


class Shares:
    """Counts who has used what since each window of each backend began.

    How much of a window a token uses follows from how the window fills while tokens are counted. What was
    used before that, elsewhere perhaps, is nobody's. Windows whose length is not known are left out.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._windows: dict[tuple[str, str], _Window] = {}

    def begin(self, backend: str, windows: Iterable[PlanWindow]) -> list[tuple[str, float]]:
        """Take note of a backend's windows; return the names and the beginnings of those that are new."""
        found = []
        for window in windows:
            if window.length is None or window.resets_at is None:
                continue
            start, key = window.resets_at - window.length, (backend, window.name)
            known = self._windows.get(key)
            if known is None or abs(known.start - start) > _JITTER:
                if known is None and len(self._windows) >= _MOST:
                    continue
                self._windows[key] = _Window(start, window.used or 0.0)
                found.append((window.name, start))
        return found

    def add(self, backend: str, owners: Sequence[str], amount: float) -> None:
        """Count what was used of a backend now, for each of the owners whose use it is."""
        for name, window in self._windows:
            if name == backend:
                self.add_to(backend, window, owners, amount)

    def load(self, backend: str, window: str, total: float, owners: Mapping[str, float]) -> None:
        """Count what was used before, of a window that :meth:`begin` has returned."""
        known = self._windows[backend, window]
        known.before += total
        for owner, amount in owners.items():
            known.of[owner] += amount

    def of(self, owner: str, backend: str, window: PlanWindow) -> float | None:
        """Return the share of a window that ``owner`` has used; ``None`` if it is not known."""
        known = self._windows.get((backend, window.name))
        if known is None or window.used is None or window.used <= known.base:
            return None
        others = known.others
        live, before = known.live + others.live, known.before + others.before
        if not live:
            return None
        each = (window.used - known.base) / live
        # All together cannot have used more than what is used.
        each = min(each, window.used / (live + before))
        return each * (known.of.get(owner, 0.0) + others.of.get(owner, 0.0))

    # --- with other replicas

    def counted(self) -> dict[tuple[str, str], Counted]:
        """Return what was counted here of each window, by its backend and its name."""
        return {
            place: Counted(*place, one.start, one.base, {EVERYBODY: one.live, **one.of})
            for place, one in self._windows.items()
        }

    def add_to(self, backend: str, window: str, owners: Sequence[str], amount: float) -> None:
        """Count what was used of a window that :meth:`begin` has returned, for each of the owners."""
        known = self._windows[backend, window]
        known.live += amount
        for owner in owners:
            known.of[owner] += amount

    def hear(self, backend: str, window: str, start: float, others: WindowUse) -> None:
        """Use what others have counted of a window that began at ``start``, and their ``base``.

        If the window has been reset meanwhile, they have counted another one.
        """
        known = self._windows[backend, window]
        if known.start == start:
            known.others, known.base = others, others.base
