"""Writes rows, gaps and the sums of hours, and prunes. Imported only where a database is used.

Each function is one transaction, and does the same again if it is called again.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, delete, func, insert, literal, select
from sqlalchemy.dialects import sqlite

from claude_max_proxy.ledger import tables
from claude_max_proxy.ledger.database import Database
from claude_max_proxy.ledger.place import SQLITE
from claude_max_proxy.ledger.queries import NAMES, pruned_before, summed
from claude_max_proxy.ledger.row import HOUR, Row, hour_of
from claude_max_proxy.ledger.usage import SUMMED, Gap


_r, _h = tables.requests.c, tables.hours.c
_GROUPINGS: dict[str, tuple[str, ...]] = {
    "total": (),
    **{name: (name,) for name in NAMES},
    "key model": ("key", "model"),
    "all": NAMES,
}


_COLUMNS = tables.requests.columns.keys()
_values = attrgetter(*_COLUMNS)
_INSERT = str(sqlite.insert(tables.requests).on_conflict_do_nothing().compile(dialect=sqlite.dialect()))


def write(database: Database, rows: Sequence[Row]) -> int:
    """Add rows; those whose ids are there already are left as they are.

    Returns how many are too old, because the time that they belong to is pruned; these are not added.
    """
    with database.writing() as connection:
        pruned = pruned_before(connection)
        young = [row for row in rows if row.began >= pruned]
        if young:
            _add_requests(connection, young)
            hours = sorted({row.hour for row in young})
            _add(connection, tables.hours_due, [{"hour": hour} for hour in hours])
    return len(rows) - len(young)


def write_gap(database: Database, id_: str, gap: Gap) -> None:
    """Add where rows are missing; ``id_`` names the gap, so that it is added once."""
    with database.writing() as connection:
        _add(connection, tables.gaps, [{"id": id_, **msgspec.structs.asdict(gap)}])


def due(database: Database, now: float) -> list[int]:
    """Return the hours that are over and not summed up."""
    hour = tables.hours_due.c.hour
    with database.reading() as connection:
        return list(connection.execute(select(hour).where(hour <= now - HOUR).order_by(hour)).scalars())


def sum_up(database: Database, hour: int) -> None:
    """Compute the sums of an hour from its requests, instead of those that there are.

    The sums of an hour that is pruned stay as they are: another process may have pruned it just now.
    """
    with database.writing(alone=True) as connection:
        if hour < pruned_before(connection):
            return
        connection.execute(delete(tables.hours_due).where(tables.hours_due.c.hour == hour))
        # The primary key begins with the grouping: by the hour alone, the whole table would be read.
        connection.execute(delete(tables.hours).where(_h.grouped_by.in_(_GROUPINGS), _h.hour == hour))
        for grouping, names in _GROUPINGS.items():
            _sum(connection, hour, grouping, names)


def _sum(connection: Connection, hour: int, grouping: str, names: tuple[str, ...]) -> None:
    columns = [_r[name] if name in names else literal("") for name in NAMES]
    query = select(literal(grouping), literal(hour), *columns, *summed())
    query = query.where(
        _r.hour == hour, _r.began >= hour, _r.began < hour + HOUR
    )  # there is an index on `began`
    query = query.group_by(*(_r[name] for name in names)).having(func.count() > 0)
    connection.execute(
        insert(tables.hours).from_select(
            ["grouped_by", "hour", *NAMES, *SUMMED], query, include_defaults=False
        )
    )


def begin_pruning(database: Database, before: float) -> None:
    """Mark the requests of all whole hours before a time for :func:`prune` to delete; their sums stay.

    Hours that are not summed up yet are, first. From then on, no row of that time is added.
    """
    whole = hour_of(before)
    hour = tables.hours_due.c.hour
    while True:
        with database.writing(alone=True) as connection:
            waiting = connection.execute(select(hour).where(hour < whole).limit(1)).scalar()
            if waiting is None:
                if whole > pruned_before(connection):
                    fact = tables.facts.c.name == "pruned_before"
                    connection.execute(delete(tables.facts).where(fact))
                    connection.execute(insert(tables.facts), [{"name": "pruned_before", "value": whole}])
                return
        sum_up(database, waiting)


def prune(database: Database, most: int) -> int:
    """Delete at most ``most`` of the marked requests; return how many."""
    with database.writing(alone=True) as connection:
        old = select(_r.id).where(_r.began < pruned_before(connection)).order_by(_r.began).limit(most)
        deleted = connection.execute(delete(tables.requests).where(_r.id.in_(old))).rowcount
    if database.is_sqlite and deleted:
        _give_back(database)
    return deleted


def _give_back(database: Database) -> None:
    """Let SQLite's file shrink a little."""
    with database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None  # the connection is open
        driver.execute("PRAGMA incremental_vacuum(1000)").fetchall()


def _add_requests(connection: Connection, rows: Sequence[Row]) -> None:
    if connection.dialect.name == SQLITE:  # by the driver alone, which takes half as long
        connection.exec_driver_sql(_INSERT, [_values(row) for row in rows])
    else:
        _add(connection, tables.requests, [dict(zip(_COLUMNS, _values(row), strict=True)) for row in rows])


def _add(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows whose primary key is not there yet."""
    if connection.dialect.name == SQLITE:
        connection.execute(sqlite.insert(table).on_conflict_do_nothing(), rows)
    else:
        from sqlalchemy.dialects import postgresql  # 2 MB that SQLite does not need

        connection.execute(postgresql.insert(table).on_conflict_do_nothing(), rows)
