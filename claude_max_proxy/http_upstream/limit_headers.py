"""Reads what the headers of an answer say about the provider's limits, as sightings of plan windows. Pure.

Anthropic's API sends ``anthropic-ratelimit-*`` with times in RFC 3339, and for a subscription
``anthropic-ratelimit-unified-*`` with shares and with seconds since the epoch. OpenAI's, and many that follow
it, send ``x-ratelimit-*`` with durations such as ``6m0s``.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import defaultdict
from collections.abc import Iterable

from claude_max_proxy.facts.plan_windows import PLAN, PlanWindow, WindowStatus


_UNIFIED = re.compile(
    r"anthropic-ratelimit-unified-(?:(?P<name>\d+[hd](?:[_-][a-z0-9_-]+?)?)-)?"
    r"(?P<field>status|reset|utilization)"
)
_PLAIN = re.compile(r"anthropic-ratelimit-(?P<name>[a-z-]+)-(?P<field>limit|remaining|reset)")
_OPENAI = re.compile(r"x-ratelimit-(?P<field>limit|remaining|reset)-(?P<name>[a-z-]+)")
_NAMES = {"5h": "five_hour", "7d": "seven_day"}
_STATUS: dict[str, WindowStatus] = {
    "allowed": "allowed",
    "allowed_warning": "warning",
    "rejected": "rejected",
}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|d|h|m|s))+")
_UNIT = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH = 1e9  # a number from here on is a time, a smaller one a duration
_MILLISECONDS = 1e11  # and from here on a time in milliseconds


def sightings(headers: Iterable[tuple[str, str]], now: float) -> list[PlanWindow]:
    """Return what an answer's headers tell; their names are in lower case, ``now`` is seconds since 1970."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for name, value in headers:
        if "ratelimit" in name:
            for pattern in (_UNIFIED, _PLAIN, _OPENAI):
                if match := pattern.fullmatch(name):
                    found[_name(match["name"])][match["field"]] = value
                    break
    return [_window(name, fields, now) for name, fields in found.items()]


def seconds_of(text: str, now: float) -> float | None:
    """Return the time, in seconds since the epoch, that a header names: RFC 3339, a duration, or a number."""
    text = text.strip()
    if _DURATION.fullmatch(text):
        return now + sum(float(number) * _SECONDS[unit] for number, unit in _UNIT.findall(text))
    number = _number(text)
    if number is not None:
        epoch = number / 1000 if number >= _MILLISECONDS else number
        return epoch if number >= _EPOCH else now + number
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).timestamp()


def _name(name: str | None) -> str:
    """Return the name of a window; without one, the header is about the plan as a whole."""
    if name is None:
        return PLAN
    name = name.replace("-", "_")
    short, _, rest = name.partition("_")
    return "_".join(filter(None, (_NAMES.get(short, short), rest)))


def _window(name: str, fields: dict[str, str], now: float) -> PlanWindow:
    used = _number(fields.get("utilization", ""))
    limit, remaining = _number(fields.get("limit", "")), _number(fields.get("remaining", ""))
    if limit and remaining is not None:
        used = max(1 - remaining / limit, 0.0)
    reset = seconds_of(fields["reset"], now) if "reset" in fields else None
    return PlanWindow(name, used, _STATUS.get(fields.get("status", ""), ""), reset, now)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
