"""Requests per minute, counted per name over the last sixty seconds."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable


_WINDOW = 60.0


class RateLimits:
    """Counts requests by name. A refused request is not counted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none; ``clock`` gives seconds that never go back."""
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def admit(self, name: str, per_minute: int) -> int:
        """Count a request of ``name`` and give 0, or give the whole seconds until one is admitted again."""
        now = self._clock()
        times = self._times.setdefault(name, deque())
        while times and times[0] <= now - _WINDOW:
            times.popleft()
        if len(times) >= per_minute:
            return max(1, math.ceil(times[-per_minute] + _WINDOW - now))

        times.append(now)
        return 0
