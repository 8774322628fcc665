"""Limits on requests per minute, counted by name over the last sixty seconds."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection


WINDOW = 60.0  # seconds


class Rates(ABC):
    """Counts requests by name, in this process or for all replicas. A refused request is not counted."""

    @abstractmethod
    async def admit(self, name: str, per_minute: int) -> int:
        """Count a request of ``name`` and return 0, or return after how many whole seconds to try again."""

    @abstractmethod
    def keep_only(self, names: Collection[str]) -> None:
        """Forget the requests of all other names."""


class RateLimits(Rates):
    """Counts the requests of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without requests; ``clock`` returns a time in seconds that never goes back."""
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def keep_only(self, names: Collection[str]) -> None:
        """Forget the requests of all other names."""
        self._times = {name: times for name, times in self._times.items() if name in names}

    async def admit(self, name: str, per_minute: int) -> int:
        """Count a request of ``name`` and return 0, or return after how many whole seconds to try again."""
        return self.take(name, per_minute)

    def note(self, name: str) -> None:
        """Count a request of ``name`` that somebody else has admitted."""
        times, now = self._times.setdefault(name, deque()), self._clock()
        while times and times[0] <= now - WINDOW:
            times.popleft()
        times.append(now)

    def take(self, name: str, per_minute: int) -> int:
        """Do at once what :meth:`admit` does."""
        now = self._clock()
        times = self._times.setdefault(name, deque())
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) >= per_minute:
            return max(1, math.ceil(times[-per_minute] + WINDOW - now))

        times.append(now)
        return 0
