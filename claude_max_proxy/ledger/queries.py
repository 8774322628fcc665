"""Asks a database of the ledger. Imported only where one is used."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, insert, literal, or_, select, tuple_

from claude_max_proxy.ledger import tables
from claude_max_proxy.ledger.database import Database
from claude_max_proxy.ledger.row import HOUR, Row, clean
from claude_max_proxy.ledger.usage import SUMMED, By, Cursor, Gap, Spent, Sums, Usage, Where


# The names by which `hours` knows sums; everything else is counted from the requests themselves.
NAMES = ("key", "model", "program", "backend", "dialect")
_r, _h = tables.requests.c, tables.hours.c
_FAILED = and_(_r.status >= 400, _r.status != 499)
_TIMES = ("hour", "day")
_COLUMNS = [tables.requests.c[name] for name in Row.__struct_fields__]

Group = tuple[Any, Sums]


def summed() -> list[Any]:
    """Return the columns that add requests up, in the order of ``SUMMED``."""
    used = _r.input_tokens + _r.output_tokens + _r.cache_read_tokens + _r.cache_write_tokens > 0
    return [
        func.count(),
        func.sum(case((_FAILED, 1), else_=0)),
        func.sum(case((_r.live, 1), else_=0)),
        *(func.sum(_r[name]) for name in SUMMED[3:7]),
        func.sum(func.coalesce(_r.reasoning_tokens, 0)),
        func.sum(func.coalesce(_r.price, 0.0)),
        func.sum(case((and_(_r.price.is_(None), used), 1), else_=0)),
    ]


def nothing(_database: Database) -> None:
    """Ask nothing: whoever asks waits until everything before it is written."""


def requests(database: Database, where: Where, limit: int, before: Cursor | None) -> list[Row]:
    """Return requests, the newest first, beginning after ``before``."""
    query = _only(select(*_COLUMNS), where).order_by(_r.began.desc(), _r.id.desc()).limit(limit)
    if before is not None:
        query = query.where(tuple_(_r.began, _r.id) < tuple_(literal(before.began), literal(before.id)))
    with database.reading() as connection:
        return [Row(**one) for one in connection.execute(query).mappings()]


def request(database: Database, id_: str) -> Row | None:
    """Return the request with this id."""
    with database.reading() as connection:
        found = connection.execute(select(*_COLUMNS).where(_r.id == id_)).mappings().first()
    return Row(**found) if found else None


def gaps(database: Database, since: float, until: float) -> list[Gap]:
    """Return where requests are missing between two times, the oldest first."""
    table = tables.gaps.c
    query = select(table.began, table.ended, table.lost, table.reason).order_by(table.began)
    with database.reading() as connection:
        found = connection.execute(query.where(table.ended >= since, table.began < until)).mappings()
        return [Gap(**one) for one in found]


def usage(database: Database, by: By, since: float, until: float, where: Where) -> list[Usage]:
    """Return the sums by group: times in their order, everything else by its number of tokens."""
    with database.reading() as connection:
        groups = _fold(_groups(connection, by, since, until, where), by)
    if by in _TIMES:
        return [_at(by, start, sums) for start, sums in sorted(groups.items())]

    found = [Usage(group=str(name), **_values(sums)) for name, sums in groups.items()]
    return sorted(found, key=lambda one: (-one.tokens, -one.requests, one.group))


def spent(database: Database, since: float, where: Where) -> Spent:
    """Return the sum of all requests since a time."""
    total = Sums()
    with database.reading() as connection:
        for _, sums in _groups(connection, "", since, math.inf, where):
            total.add(sums)
    return Spent(**_values(total))


def _values(sums: Sums) -> dict[str, Any]:
    return {name: getattr(sums, name) for name in SUMMED}


def _fold(found: Iterable[Group], by: By) -> dict[Any, Sums]:
    groups: dict[Any, Sums] = {}
    for name, sums in found:
        at = day_of(name) if by == "day" else name
        groups.setdefault(at, Sums()).add(sums)
    return groups


def day_of(time: float) -> float:
    """Return when the local day begins that a time belongs to."""
    local = datetime.fromtimestamp(time).astimezone()
    return local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None).timestamp()


def _at(by: By, start: float, sums: Sums) -> Usage:
    local = datetime.fromtimestamp(start).astimezone()
    group = local.strftime("%Y-%m-%d" if by == "day" else "%Y-%m-%d %H:%M")
    return Usage(group=group, start=start, **_values(sums))


# --- where the sums come from ------------------------------------------------------------------------------


def _groups(connection: Connection, by: str, since: float, until: float, where: Where) -> list[Group]:
    """Return sums, possibly several of a group, each request counted once.

    An hour that ``hours`` contains is read there, if it lies within the time asked for as a whole, or if its
    requests are pruned.
    """
    since, until = _bounds(since, until, where)
    grouping = _grouping(by, where)
    if grouping is None:
        return _raw(connection, by, where, [(since, until)])

    first, last = _whole_hours(connection, since, until)
    if first >= last:
        return _raw(connection, by, where, [(since, until)])

    due = _due(connection, first, last)
    spans = [(since, first), *((hour, hour + HOUR) for hour in due), (last, until)]
    return _from_hours(connection, by, where, grouping, first, last, due) + _raw(connection, by, where, spans)


def _bounds(since: float, until: float, where: Where) -> tuple[float, float]:
    since = since if where.since is None else max(since, where.since)
    until = until if where.until is None else min(until, where.until)
    return since, until


def _grouping(by: str, where: Where) -> str | None:
    """Return the grouping of ``hours`` that can answer, or ``None`` if only the requests themselves can."""
    if where.session is not None or where.upstream_model is not None or where.code is not None:
        return None
    if where.outcome or by in {"session", "replica"}:
        return None

    needed = {name for name in NAMES if getattr(where, name) is not None} | ({by} & set(NAMES))
    if len(needed) > 1:
        return "key model" if needed == {"key", "model"} else "all"
    return needed.pop() if needed else "total"


def _whole_hours(connection: Connection, since: float, until: float) -> tuple[int, int]:
    """Return the hours to read from ``hours``: from the first, before the last."""
    table = tables.hours.c.hour
    bounds = select(func.min(table), func.max(table)).where(_h.grouped_by == "total")
    oldest, newest = connection.execute(bounds).one()
    if oldest is None:
        return 0, 0

    pruned = pruned_before(connection)
    first = math.floor(since / HOUR) if -math.inf < since < pruned else math.ceil(max(since, 0) / HOUR)
    last = newest // HOUR + 1 if until == math.inf else math.floor(until / HOUR)
    if until < pruned:
        last = math.ceil(until / HOUR)
    return max(first * HOUR, oldest), min(last * HOUR, newest + HOUR)


def identity(database: Database) -> str:
    """Return what tells this database from any other, and keep that from now on."""
    table = tables.facts.c
    with database.writing(alone=True) as connection:
        found = connection.execute(select(table.value).where(table.name == "identity")).scalar()
        if found is None:
            found = float(secrets.randbits(52))
            connection.execute(insert(tables.facts), [{"name": "identity", "value": found}])
    return f"{int(found):013x}"


def pruned_before(connection: Connection) -> float:
    """Return the time before which the requests themselves are gone; 0 if nothing was pruned."""
    table = tables.facts.c
    return connection.execute(select(table.value).where(table.name == "pruned_before")).scalar() or 0.0


def _due(connection: Connection, first: int, last: int) -> list[int]:
    hour = tables.hours_due.c.hour
    return list(connection.execute(select(hour).where(hour >= first, hour < last)).scalars())


def _from_hours(
    connection: Connection, by: str, where: Where, grouping: str, first: int, last: int, due: list[int]
) -> list[Group]:
    group = _h.hour if by in _TIMES else _h[by] if by else literal("")
    query = select(group, *(func.sum(_h[name]) for name in SUMMED))
    query = query.where(_h.grouped_by == grouping, _h.hour >= first, _h.hour < last)
    if due:
        query = query.where(_h.hour.not_in(due))
    for name in NAMES:
        if (value := getattr(where, name)) is not None:
            query = query.where(_h[name] == clean(value))
    return _read(connection, query.group_by(group) if by else query)


def _raw(connection: Connection, by: str, where: Where, spans: list[tuple[float, float]]) -> list[Group]:
    spans = [(begin, end) for begin, end in spans if begin < end]
    if not spans:
        return []

    group = _r.hour if by in _TIMES else _r[by] if by else literal("")
    query = _only(select(group, *summed()), where, timed=False)
    query = query.where(or_(*(_within(begin, end) for begin, end in spans)))
    return _read(connection, query.group_by(group) if by else query)


def _read(connection: Connection, query: Select[Any]) -> list[Group]:
    found = []
    for group, *numbers in connection.execute(query):
        if numbers[0]:  # without a group there is one row even if there is nothing to add up
            values: list[Any] = [
                float(one) if name == "price" else int(one) for name, one in zip(SUMMED, numbers, strict=True)
            ]
            found.append((group, Sums(**dict(zip(SUMMED, values, strict=True)))))
    return found


def _within(begin: float, end: float) -> Any:
    bounds = [] if begin == -math.inf else [_r.began >= begin]
    return and_(True, *bounds, *([] if end == math.inf else [_r.began < end]))


def _only(query: Select[Any], where: Where, *, timed: bool = True) -> Select[Any]:
    for name in (*NAMES, "session", "upstream_model", "code"):
        if (value := getattr(where, name)) is not None:
            query = query.where(_r[name] == clean(value))
    match where.outcome:
        case "ok":
            query = query.where(_r.status < 400)
        case "failed":
            query = query.where(_FAILED)
        case "left":
            query = query.where(_r.status == 499)
        case _:
            pass
    if timed and where.since is not None:
        query = query.where(_r.began >= where.since)
    if timed and where.until is not None:
        query = query.where(_r.began < where.until)
    return query
