"""Limits on requests per minute, counted by name over the last sixty seconds."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Collection


_WINDOW = 60.0


class RateLimits:
    """Counts requests by name. A refused request is not counted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without requests; ``clock`` returns a time in seconds that never goes back."""
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def keep_only(self, names: Collection[str]) -> None:
        """Forget the requests of all other names."""
        self._times = {name: times for name, times in self._times.items() if name in names}

    def admit(self, name: str, per_minute: int) -> int:
        """Count a request of ``name`` and return 0, or return after how many whole seconds to try again."""
        now = self._clock()
        times = self._times.setdefault(name, deque())
        while times and times[0] <= now - _WINDOW:
            times.popleft()
        if len(times) >= per_minute:
            return max(1, math.ceil(times[-per_minute] + _WINDOW - now))

        times.append(now)
        return 0
