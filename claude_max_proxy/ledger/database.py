"""Opens a database of the ledger: SQLite or PostgreSQL, by one URL. Imported only where one is used.

A database is used by one thread at a time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL

from claude_max_proxy.errors import ConfigError
from claude_max_proxy.ledger.migrations import LOCK, MIGRATIONS
from claude_max_proxy.ledger.place import SQLITE, file_of


_PATIENCE = 5  # seconds for a connection, and for a lock that another process holds
_LONGEST = 30  # seconds for one statement


class Database:
    """One database, whose tables are up to date."""

    def __init__(self, url: str) -> None:
        """Open it, and create or migrate its tables; only one process at a time does that.

        Raises :class:`ConfigError` for a URL of another kind, and what the driver raises if the database
        cannot be reached.
        """
        self.engine = _engine(url)
        self.is_sqlite = self.engine.dialect.name == SQLITE
        try:
            MIGRATIONS.apply(self.engine)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Return a connection whose statements all see the same state of the database."""
        with self.engine.connect() as connection:
            if not self.is_sqlite:  # where reading in one transaction always is a snapshot
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Connection]:
        """Return a connection in a transaction that is committed at the end.

        ``alone`` waits until no other process writes, and lets none begin. SQLite always does that.
        """
        with self.engine.connect().execution_options(writing=True) as connection, connection.begin():
            if not self.is_sqlite:
                shared = "" if alone else "_shared"
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock{shared}({LOCK})")
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    parsed = sqlalchemy.make_url(url)
    if parsed.get_backend_name() == SQLITE:
        return _sqlite(parsed)
    return _postgresql(parsed)


def _sqlite(url: URL) -> Engine:
    _private(file_of(url.database or ""))
    engine = sqlalchemy.create_engine(
        url.set(database=str(file_of(url.database or ""))),
        connect_args={"timeout": _PATIENCE, "check_same_thread": False},
        pool_size=1,
        max_overflow=0,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver
        # It only has an effect on a new file, and lets pruning give room back in small steps.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        # What is committed survives the end of the process; a loss of power can take back the last commits.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16777216")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _private(file: Path) -> None:
    """Make the file and its folder for the user alone; SQLite gives its other files the same mode."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) != 0o600:
        file.chmod(0o600)


def _postgresql(url: URL) -> Engine:
    try:
        return sqlalchemy.create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": _PATIENCE,
                "application_name": "claude-max-proxy",
                "options": f"-c statement_timeout={_LONGEST * 1000} -c lock_timeout={_PATIENCE * 1000}",
                "keepalives_idle": _LONGEST,
                "tcp_user_timeout": _LONGEST * 1000,
            },
        )
    except ImportError as error:
        raise ConfigError(
            "plugins.ledger.url: PostgreSQL needs the package psycopg, which comes with "
            "`pip install 'claude-max-proxy[postgres]'`"
        ) from error
