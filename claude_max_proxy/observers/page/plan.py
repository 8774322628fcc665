"""What the page says about a plan window: how full it is, and whether it lasts until its reset. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from claude_max_proxy.facts.plan_windows import PLAN, PlanWindow
from claude_max_proxy.observers.page import formatting


Level = Literal["", "warn", "bad"]
_FULL = 1000  # the width of the drawing
_HIGH = 0.9
_MINUTE = 60.0
_OLD = 900  # seconds after which a number is worth a word about its age
_TITLES = {
    "five_hour": "5 hours",
    "seven_day": "7 days",
    "input_tokens": "Input tokens",
    "output_tokens": "Output tokens",
}


class WindowCard(msgspec.Struct, frozen=True):
    """One plan window as it is drawn.

    ``width`` and ``elapsed`` are places in a drawing that is 1000 wide; ``early`` is how many seconds before
    the reset the window is used up at this pace, and only given with ``runs_out_at``.
    """

    title: str
    backend: str
    used: float | None
    level: Level
    pace: str
    drawn: str
    width: float
    elapsed: float | None = None
    resets_at: float | None = None
    length: float | None = None
    runs_out_at: float | None = None
    early: float | None = None


def cards(backend: str, windows: Iterable[PlanWindow], now: float) -> list[WindowCard]:
    """Return how the windows of a backend are drawn at the time ``now``.

    What the provider says of the plan as a whole is only drawn if it is not simply allowed.
    """
    return [
        card(backend, one, now)
        for one in windows
        if one.name != PLAN or one.status in ("warning", "rejected")
    ]


def card(backend: str, window: PlanWindow, now: float) -> WindowCard:
    """Return how one window of a backend is drawn at the time ``now``."""
    elapsed = _elapsed(window, now)
    runs_out = _runs_out(window, now)
    words = [
        f"{formatting.share(window.used)} used"
        if window.used is not None
        else "how much is used is not known"
    ]
    if elapsed is not None:
        words.append(f"{formatting.share(elapsed)} of the time has passed")
    return WindowCard(
        title=title(window.name),
        backend=backend,
        used=window.used,
        level=_level(window, runs_out),
        pace=_pace(window, now, runs_out),
        drawn=", ".join(words),
        width=round(_FULL * min(1.0, max(0.0, window.used or 0.0)), 1),
        elapsed=None if elapsed is None else round((_FULL - 3) * elapsed),
        resets_at=window.resets_at,
        length=window.length,
        runs_out_at=runs_out,
        early=window.resets_at - runs_out if runs_out is not None and window.resets_at is not None else None,
    )


def title(name: str) -> str:
    """Return the name of a window as people say it: ``seven_day_opus`` is ``7 days · Opus``."""
    for known, words in _TITLES.items():
        if name == known:
            return words
        if name.startswith(f"{known}_"):
            return f"{words} · {name.removeprefix(known + '_').replace('_', ' ').title()}"
    return name.replace("_", " ").capitalize()


def _elapsed(window: PlanWindow, now: float) -> float | None:
    if window.resets_at is None or not window.length:
        return None
    return min(1.0, max(0.0, 1 - (window.resets_at - now) / window.length))


def _runs_out(window: PlanWindow, now: float) -> float | None:
    """Return when the window is used up, to the minute, if that is still to come and before the reset.

    The estimate moves with every second, and by seconds only: that is not worth an update of the page.
    """
    when, reset = window.runs_out_at, window.resets_at
    if when is None or reset is None or not now < when < reset:
        return None
    return min(reset, math.ceil(when / _MINUTE) * _MINUTE)


def _level(window: PlanWindow, runs_out: float | None) -> Level:
    used = window.used or 0.0
    if window.status == "rejected" or used >= 1:
        return "bad"
    return "warn" if used >= _HIGH or window.status == "warning" or runs_out is not None else ""


def _pace(window: PlanWindow, now: float, runs_out: float | None) -> str:
    if window.status == "rejected":
        return "The provider refuses requests" + (" until the reset" if window.resets_at else "")
    if window.used is None and window.resets_at is None and not window.status:
        return "It has been reset; the next answer says how much is used"
    if window.used is not None and window.used >= 1:
        return "It is used up"
    if runs_out is not None:
        return "At this pace it is used up"
    if window.rate and window.resets_at is not None:
        return "At this pace it lasts until the reset"
    age = now - window.seen_at
    return f"Last heard of {formatting.span(age // _OLD * _OLD)} ago" if age > _OLD else ""
