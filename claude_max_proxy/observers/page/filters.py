"""What a reader asks the ledger for, read from the query of a URL. Days are local ones."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, get_args
from urllib.parse import urlencode

import msgspec

from claude_max_proxy.ledger import By, Cursor, Where


Outcome = Literal["", "ok", "failed", "left"]
Choice = tuple[str, str]
NAMES = ("key", "model", "program")
_MORE = ("session", "code", "backend", "dialect")  # filters that only links set
_LONGEST = 200  # characters of a name that the ledger keeps
_SPANS = {"1h": (3600, "last hour"), "24h": (86_400, "last 24 hours"), "7d": (604_800, "last 7 days")}
_OUTCOMES = {"": "any", "ok": "completed", "failed": "failed", "left": "client left"}
BYS: tuple[By, ...] = ("hour", "day", "key", "model", "program", "backend")
DAYS = {1: "today", 7: "7 days", 30: "30 days", 90: "90 days", 365: "a year"}
_DEFAULT_DAYS = 30
_MOST_DAYS_BY_HOUR = 7


class Filter(msgspec.Struct, frozen=True):
    """One field of a form; without ``choices`` it is a text of the input type ``kind``."""

    label: str
    name: str
    value: str
    choices: Sequence[Choice] = ()
    kind: str = "text"


class Asked(msgspec.Struct, frozen=True):
    """What the view Requests is asked for."""

    where: Where
    values: Mapping[str, str]
    before: Cursor | None = None

    @property
    def filtered(self) -> bool:
        """Whether anything is left out."""
        return bool(self.values)

    def link(self, before: Cursor | None = None) -> str:
        """Return the URL, from the page's root, of the list that begins after a request."""
        words = dict(self.values)
        if before is not None:
            words["before"] = f"{before.began!r}~{before.id}"
        return f"requests?{urlencode(words)}" if words else "requests"


class Span(msgspec.Struct, frozen=True):
    """What the view Usage is asked for: ``days`` whole days up to today, added up ``by`` something."""

    by: By
    days: int
    since: float
    until: float
    where: Where
    values: Mapping[str, str]

    def link(self, path: str, by: By) -> str:
        """Return the URL of a view of the same requests."""
        return f"{path}?{urlencode({**self.values, 'days': str(self.days), 'by': by})}"


def asked(query: Mapping[str, str], now: float) -> Asked:
    """Return what a query asks for; what makes no sense in it is left out."""
    values = {name: query[name][:_LONGEST] for name in (*NAMES, *_MORE) if query.get(name)}
    outcome = _outcome(query.get("outcome", ""))
    if outcome:
        values["outcome"] = outcome
    since = until = None
    if (day := query.get("day", "")) and (bounds := day_bounds(day)):
        since, until = bounds
        values["day"] = day
    elif (span := query.get("span", "")) in _SPANS:
        since = now - _SPANS[span][0]
        values["span"] = span
    where = msgspec.structs.replace(
        named(values, since, until), outcome=outcome, **{name: values.get(name) for name in _MORE}
    )
    return Asked(where, values, _cursor(query.get("before", "")))


def _outcome(text: str) -> Outcome:
    return next((known for known in get_args(Outcome) if known == text), "")


def _cursor(text: str) -> Cursor | None:
    began, _, id_ = text.partition("~")
    with contextlib.suppress(ValueError):
        return Cursor(float(began), id_[:_LONGEST])
    return None


def span(query: Mapping[str, str], now: float) -> Span:
    """Return the days and the sum that a query asks for; what makes no sense in it is left out."""
    by: By = next((known for known in BYS if known == query.get("by")), "day")
    days = next((known for known in DAYS if str(known) == query.get("days")), _DEFAULT_DAYS)
    if by == "hour":
        days = min(days, _MOST_DAYS_BY_HOUR)
    values = {name: query[name][:_LONGEST] for name in NAMES if query.get(name)}
    today = datetime.fromtimestamp(now).astimezone().date()
    since = _midnight(today - timedelta(days=days - 1))
    until = _midnight(today + timedelta(days=1))
    return Span(by, days, since, until, named(values, since, until), values)


def named(values: Mapping[str, str], since: float | None = None, until: float | None = None) -> Where:
    """Return the requests with these names, in this time."""
    key, model, program = (values.get(name) for name in NAMES)
    return Where(key=key, model=model, program=program, since=since, until=until)


def day_bounds(text: str) -> tuple[float, float] | None:
    """Return when a local day begins and ends, given as ``2026-11-29``; ``None`` if it is no day."""
    with contextlib.suppress(ValueError, OverflowError, OSError):
        day = date.fromisoformat(text)
        return _midnight(day), _midnight(day + timedelta(days=1))
    return None


def today(now: float) -> float:
    """Return when the local day began."""
    return _midnight(datetime.fromtimestamp(now).astimezone().date())


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day).timestamp()  # noqa: DTZ001  # a local day has local bounds


def request_filters(asked_for: Asked, known: Mapping[str, Iterable[str]]) -> list[Filter]:
    """Return the fields of the view Requests, with the values that are ``known``."""
    values = asked_for.values
    fields = named_filters(values, known)
    fields.append(Filter("Outcome", "outcome", values.get("outcome", ""), tuple(_OUTCOMES.items())))
    spans = [("", "any"), *((name, text) for name, (_, text) in _SPANS.items())]
    fields.append(Filter("Time", "span", values.get("span", ""), spans))
    fields.append(Filter("Day", "day", values.get("day", ""), kind="date"))
    fields += [Filter(name.capitalize(), name, values[name]) for name in _MORE if name in values]
    return fields


def named_filters(values: Mapping[str, str], known: Mapping[str, Iterable[str]]) -> list[Filter]:
    """Return the fields for who asked for what; a value that is set is a choice, known or not."""
    found = []
    for name in NAMES:
        value = values.get(name, "")
        names = [one for one in known.get(name, ()) if one]
        if value and value not in names:
            names.insert(0, value)
        found.append(Filter(name.capitalize(), name, value, [("", "any"), *((one, one) for one in names)]))
    return found
