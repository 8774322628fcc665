"""Says in words how far a window of a plan is used, and when it runs out, in local time."""

from __future__ import annotations

import time

from claude_max_proxy import PlanWindow


_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def sentence(window: PlanWindow, now: float) -> str:
    """Return what is known of a window as part of a sentence; ``now`` is in seconds since 1970.

    For example: "the five-hour window is 91 % used; at this pace it runs out at 16:40, 50 minutes before it
    resets at 17:30".
    """
    said = f"the {window.title} is {percent(window.used)} used"
    if window.status == "rejected":
        said += ", and the provider refuses requests"
    if window.runs_out_at is not None:
        said += f"; at this pace it runs out {clock(window.runs_out_at, now)}"
        if window.resets_at is not None:
            early = span(window.resets_at - window.runs_out_at)
            said += f", {early} before it resets {clock(window.resets_at, now)}"
    elif window.resets_at is not None:
        said += f"; it resets {clock(window.resets_at, now)}"
    return said


def percent(share: float | None) -> str:
    """Return a share as a whole number of per cent; it is rounded down, so that 100 % means used up."""
    return "?" if share is None else f"{int(share * 100 + 1e-9)} %"


def clock(at: float, now: float) -> str:
    """Return a time as people say it, in the local time zone: "at 16:40", "on Thursday at 09:00"."""
    there, here = time.localtime(at), time.localtime(now)
    hour = time.strftime("at %H:%M", there)
    if there[:3] == here[:3]:
        return hour
    day = "%A" if abs(at - now) < 6 * _DAY else "%d %B"
    return f"{time.strftime(f'on {day}', there)} {hour}"


def span(seconds: float) -> str:
    """Return a length of time in its two largest units: "50 minutes", "2 hours 10 minutes"."""
    rest = round(max(seconds, 0) / _MINUTE) * _MINUTE
    if rest < _MINUTE:
        return "less than a minute"
    found = []
    for name, unit in (("day", _DAY), ("hour", _HOUR), ("minute", _MINUTE)):
        count, rest = divmod(rest, unit)
        if count:
            found.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(found[:2])
