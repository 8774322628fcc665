"""The hours, days and months in which budgets count, in local time."""

from __future__ import annotations

import datetime as dt
from typing import Literal


Period = Literal["hour", "day", "month"]
PERIODS: tuple[Period, ...] = ("hour", "day", "month")


def begin(period: Period, now: float) -> float:
    """Return when the period began that a time belongs to; times are in seconds since 1970."""
    local = dt.datetime.fromtimestamp(now).replace(minute=0, second=0, microsecond=0)  # noqa: DTZ006
    if period != "hour":
        local = local.replace(hour=0)
    if period == "month":
        local = local.replace(day=1)
    return min(local.timestamp(), now)


def end(period: Period, now: float) -> float:
    """Return when the next period begins."""
    local = dt.datetime.fromtimestamp(begin(period, now))  # noqa: DTZ006
    if period == "hour":
        return local.timestamp() + 3600
    days = {"day": 1, "month": 32}[period]
    # In the middle of a day, so that the change to or from summer time leaves the date as it is.
    later = local.replace(hour=12) + dt.timedelta(days=days)
    return begin(period, later.timestamp())
