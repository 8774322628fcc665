"""Decides when to warn about a window of a plan: once for each threshold, until the window is reset. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from claude_max_proxy import PlanWindow
from claude_max_proxy.observers.meter.words import sentence


# The same reset is told with times that differ by seconds.
_JITTER = 120.0
# Below this share, a burst at the beginning would look as if the window ran out.
_EARLIEST = 0.25
_PACE, _REJECTED = "pace", "rejected"


class Alarms:
    """Remembers which warnings were given for which window."""

    def __init__(self) -> None:
        """Begin without any."""
        self._given: dict[tuple[str, str], tuple[float | None, set[float | str]]] = {}

    def due(
        self, backend: str, windows: Iterable[PlanWindow], thresholds: Sequence[float], now: float
    ) -> list[str]:
        """Return the warnings that are to be given now for a backend's windows, as sentences.

        ``thresholds`` are shares; ``now`` is in seconds since 1970. Windows whose length is not known, such
        as a provider's limit for a minute, are left out: those fill and empty all the time.
        """
        found = []
        for window in windows:
            if window.length is None or window.used is None:
                continue
            given = self._of(backend, window)
            reasons = _reasons(window, thresholds)
            if reasons - given:
                given |= reasons
                found.append(f"{backend}: {sentence(window, now)}")
        return found

    def _of(self, backend: str, window: PlanWindow) -> set[float | str]:
        """Return what was warned of since the window began."""
        resets_at, given = self._given.get((backend, window.name), (None, set()))
        moved = resets_at is not None and window.resets_at is not None
        if moved and abs((window.resets_at or 0.0) - (resets_at or 0.0)) > _JITTER:
            given = set()
        self._given[backend, window.name] = (window.resets_at or resets_at, given)
        return given


def _reasons(window: PlanWindow, thresholds: Sequence[float]) -> set[float | str]:
    used = window.used or 0.0
    reasons: set[float | str] = {threshold for threshold in thresholds if used >= threshold}
    if window.runs_out_at is not None and used >= _EARLIEST:
        reasons.add(_PACE)
    if window.status == "rejected":
        reasons.add(_REJECTED)
    return reasons
