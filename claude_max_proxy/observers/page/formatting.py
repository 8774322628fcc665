"""Writes numbers, times and names as people read them. Pure: what the time is, the caller says."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime


_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((2**30, "GB"), (2**20, "MB"), (2**10, "kB"))
_SPANS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_LONGEST_NAME = 120
NOTHING = "–"
# Control characters, marks that change the direction of writing, and halves of characters, which are no text.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def count(value: float | None) -> str:
    """Return a number with at most three significant digits from a thousand on: 1234567 is ``1.23 M``."""
    if value is None or not math.isfinite(value):
        return NOTHING
    for size, unit in _UNITS:
        # What would be rounded up to a thousand of the smaller unit is one of the greater.
        if abs(value) >= size * 0.9995:
            return f"{_three(value / size)} {unit}"
    return f"{value:.0f}"


def exact(value: float | None) -> str:
    """Return a whole number with thin spaces between thousands: 1234567 is ``1 234 567``."""
    return NOTHING if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def dollars(value: float | None) -> str:
    """Return a price in US dollars: cents from a dollar on, and two significant digits below."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0 or abs(value) >= 0.995:
        return f"${value:,.2f}"
    digits = min(6, 1 - math.floor(math.log10(abs(value))))
    return f"${value:.{max(2, digits)}f}"


def share(value: float | None) -> str:
    """Return a share from 0 to 1 in per cent; what is not quite everything is not 100 %."""
    if value is None or not math.isfinite(value):
        return NOTHING
    percent = value * 100
    if 0 < percent < 0.95:
        return "<1 %"
    if 99 < percent < 100:
        return "99 %"
    return f"{percent:.0f} %"


def size(value: float | None) -> str:
    """Return a number of bytes."""
    if value is None:
        return NOTHING
    for bytes_, unit in _BINARY:
        if value >= bytes_:
            return f"{_three(value / bytes_)} {unit}"
    return f"{value:.0f} B"


def short_time(seconds: float | None) -> str:
    """Return how long something took: milliseconds below a second, otherwise as :func:`span`."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 59.95 else span(seconds)


def span(seconds: float | None) -> str:
    """Return a length of time in its two largest units: ``2 h 5 min``."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    rest = max(0, math.floor(seconds))
    words: list[str] = []
    for length, unit in _SPANS:
        number, rest = divmod(rest, length)
        if number or words:
            words.append(f"{number} {unit}" if number else "")
        if len(words) == 2:
            break
    return " ".join(filter(None, words)) or "0 s"


def iso(epoch: float) -> str:
    """Return a time in epoch seconds for a ``datetime`` attribute, in UTC."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(epoch: float | None, now: float, *, seconds: bool = False) -> str:
    """Return the local time of day, with the weekday or the date if it is not the day of ``now``."""
    if epoch is None:
        return NOTHING
    when, today = (datetime.fromtimestamp(at, UTC).astimezone() for at in (epoch, now))
    time = when.strftime("%H:%M:%S" if seconds else "%H:%M")
    days = abs((when.date() - today.date()).days)
    if days == 0:
        return time
    return f"{when:%a} {time}" if days < 6 else f"{when:%Y-%m-%d} {time}"


def name(text: str, longest: int = _LONGEST_NAME) -> str:
    """Return a name from outside as it may be shown: bounded, and without what is invisible or turns text.

    Control characters and the marks that change the direction of writing become replacement characters.
    """
    cut = text[:longest]
    plain = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in cut)
    return plain + ("…" if len(text) > longest else "")


def said(text: str) -> str:
    """Return a text of several lines as it may be shown: as :func:`name` does it, but whole."""
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def _three(value: float) -> str:
    """Return a number below 1000 with three significant digits, without zeros at the end."""
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
