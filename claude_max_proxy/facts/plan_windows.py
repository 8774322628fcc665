"""The windows of a provider's plan: how much of each is used, when it resets, and when it runs out. Pure.

A plan allows so much use in each of several windows of time, such as five hours and seven days. A backend
sees how far they are used, in what its provider says, and gives the sightings to :class:`PlanWindows`. That
keeps a short history of each window, from which it computes the pace.
"""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec


__all__ = [
    "PLAN",
    "PlanWindow",
    "PlanWindows",
    "Point",
    "WindowStatus",
    "burn_rate",
    "run_out",
]


# The name under which a backend tells what the provider says of the plan as a whole.
PLAN = "plan"

WindowStatus = Literal["allowed", "warning", "rejected", ""]
# One sighting: the time in seconds since the epoch, and the share that was used then.
Point = tuple[float, float]

_HOUR = 3600.0
_LENGTHS = {"five_hour": 5 * _HOUR, "seven_day": 7 * 24 * _HOUR}
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,39}")
_MOST_WINDOWS = 32
_MOST_POINTS = 60
# The pace is that of this part of the window's length, and what was seen in less than that part says nothing.
_HORIZON, _SHORTEST = 1 / 10, 1 / 100
_JITTER = 120.0  # seconds by which the times of one and the same reset were seen to differ, and more
_NOISE = 0.02  # by which a share may shrink without a reset: some sources round it
_LATEST = 32503680000.0  # the year 3000, after which no time is believed


class PlanWindow(msgspec.Struct, frozen=True):
    """One window of a plan, as it was last seen.

    - ``name``: such as ``five_hour``, ``seven_day``, ``seven_day_opus``, ``requests`` or ``tokens``. The
      window named ``plan`` has only what the provider says of the plan as a whole. A single window can be
      rejected although the plan is not, and the plan although no window is.
    - ``used``: the share that is used, from 0 to 1 and sometimes above; ``None`` if it is not known.
    - ``status``: what the provider says of it: ``allowed``, ``warning``, ``rejected`` or nothing.
    - ``resets_at``: when it begins again, in seconds since the epoch.
    - ``seen_at``: when it was seen, in seconds since the epoch.
    - ``length``: in seconds.
    - ``rate``: the share that is used in an hour at the present pace.
    - ``runs_out_at``: when it is used up at this pace, in seconds since the epoch. ``None`` if it resets
      before that, if it is used up already, or if the pace is not known.
    """

    name: str
    used: float | None = None
    status: WindowStatus = ""
    resets_at: float | None = None
    seen_at: float = 0.0
    length: float | None = None
    rate: float | None = None
    runs_out_at: float | None = None

    @property
    def title(self) -> str:
        """What people call it, such as "five-hour window" or "seven-day window (opus)"."""
        for name in _LENGTHS:
            if self.name == name or self.name.startswith(f"{name}_"):
                model = self.name.removeprefix(name).strip("_").replace("_", " ")
                return f"{name.replace('_', '-')} window" + (f" ({model})" if model else "")
        return "plan" if self.name == PLAN else f"limit of {self.name.replace('_', ' ')}"


class PlanWindows:
    """The windows of one backend's plan. The number of windows and the history of each are bounded."""

    def __init__(self) -> None:
        """Begin without any sighting."""
        self._kept: dict[str, PlanWindow] = {}
        self._points: dict[str, deque[Point]] = {}

    def see(self, window: PlanWindow) -> None:
        """Take note of a sighting, of which ``rate`` and ``runs_out_at`` are not used.

        A share, a status or a reset that this sighting does not tell stays as it was, unless the window has
        been reset since. A sighting that is older than the newest one, or makes no sense, is left out.
        """
        if not _NAME.fullmatch(window.name):
            return
        new = _sensible(window)
        old = self._kept.get(new.name)
        if old is None and len(self._kept) >= _MOST_WINDOWS:
            return
        if old is not None and new.seen_at < old.seen_at:
            return
        if old is None or _has_begun_anew(old, new):
            self._points[new.name] = deque(maxlen=_MOST_POINTS)
        else:
            new = _merged(old, new)
        self._kept[new.name] = new
        if new.used is not None and new.length is not None:
            _add(self._points[new.name], (new.seen_at, new.used), new.length * _HORIZON / _MOST_POINTS)

    def current(self, now: float) -> tuple[PlanWindow, ...]:
        """Return every window with its pace, the shortest first; ``now`` is in seconds since the epoch.

        If a window has been reset since it was seen, only its name, length and ``seen_at`` are known.
        """
        windows = sorted(self._kept.values(), key=lambda one: (one.length or math.inf, one.name))
        return tuple(self._at(window, now) for window in windows)

    def _at(self, window: PlanWindow, now: float) -> PlanWindow:
        if window.resets_at is not None and window.resets_at <= now:
            return PlanWindow(window.name, seen_at=window.seen_at, length=window.length)

        now = max(now, window.seen_at)
        rate = burn_rate(tuple(self._points[window.name]), window.length, window.resets_at, now)
        out = run_out(window.used, rate, now, window.resets_at)
        return msgspec.structs.replace(window, rate=rate, runs_out_at=out)


def burn_rate(
    points: Sequence[Point], length: float | None, resets_at: float | None, now: float
) -> float | None:
    """Return the share of a window that is used in an hour at the present pace; ``None`` if it is not known.

    ``points`` are the sightings since the window began, oldest first; between two of them the use is taken as
    even, and since the newest as nothing. ``length`` is the window's, in seconds; times are in seconds since
    the epoch. The pace is that of the last tenth of the window's length. If the sightings do not reach back
    that far, it is the pace since the first of them, or, if that is too short, since the window began.
    """
    if length is None or not points:
        return None

    horizon, shortest = length * _HORIZON, length * _SHORTEST
    first, last = points[0], points[-1]
    since = now - horizon
    if first[0] <= since:
        return max(last[1] - _between(points, since), 0.0) / horizon * _HOUR
    if now - first[0] >= shortest:
        return max(last[1] - first[1], 0.0) / (now - first[0]) * _HOUR
    if resets_at is not None and (elapsed := now - (resets_at - length)) >= shortest:
        return max(last[1], 0.0) / elapsed * _HOUR
    return None


def run_out(
    used: float | None, rate: float | None, now: float, resets_at: float | None = None
) -> float | None:
    """Return when a window is used up at ``rate``, a share an hour; times are in seconds since the epoch.

    Returns ``None`` if it resets before that, if it is used up already, or if something is not known.
    """
    if used is None or not rate or used >= 1:
        return None

    out = now + (1 - used) / rate * _HOUR
    if resets_at is not None and out >= resets_at:
        return None
    return out if out < _LATEST else None


def _sensible(window: PlanWindow) -> PlanWindow:
    """Return a sighting with whole seconds, its length, and without numbers that make no sense."""
    used, resets_at = window.used, window.resets_at
    if used is not None and not 0 <= used < math.inf:
        used = None
    if resets_at is not None:
        resets_at = float(round(resets_at)) if 0 < resets_at < _LATEST else None
    known = (length for name, length in _LENGTHS.items() if window.name.startswith(name))
    length = window.length or next(known, None)
    return PlanWindow(window.name, used, window.status, resets_at, window.seen_at, length)


def _has_begun_anew(old: PlanWindow, new: PlanWindow) -> bool:
    """Return whether a reset lies between two sightings, by more than the jitter and noise of the source."""
    if old.resets_at is not None and new.seen_at >= old.resets_at:
        return True
    moved = old.resets_at is not None and new.resets_at is not None
    if moved and abs((new.resets_at or 0.0) - (old.resets_at or 0.0)) > _JITTER:
        return True
    return old.used is not None and new.used is not None and new.used < old.used - _NOISE


def _merged(old: PlanWindow, new: PlanWindow) -> PlanWindow:
    """Return what is known after ``new``; a known time of the reset stays, so that it does not jitter."""
    return PlanWindow(
        new.name,
        old.used if new.used is None else new.used,
        new.status or old.status,
        old.resets_at if old.resets_at is not None and old.length is not None else new.resets_at,
        new.seen_at,
        new.length,
    )


def _add(points: deque[Point], point: Point, spacing: float) -> None:
    """Add a point; it replaces the newest if that is less than ``spacing`` seconds after the one before."""
    if len(points) > 1 and points[-1][0] - points[-2][0] < spacing:
        points.pop()
    points.append(point)


def _between(points: Sequence[Point], at: float) -> float:
    """Return the share at a time after the first point, as if it grew evenly from each point to the next."""
    for (began, low), (ended, high) in pairwise(points):
        if at <= ended:
            return low + (high - low) * (at - began) / (ended - began) if ended > began else high
    return points[-1][1]
