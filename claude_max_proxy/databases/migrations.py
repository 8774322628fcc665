"""Brings the tables of a database up to date, when a proxy opens it.

Each file in a folder's ``versions`` is one step, written for Alembic. Several proxies may start at the same
time: one of them takes the steps, in one transaction, and the others wait for it. Imported only where a
database is used, since it imports SQLAlchemy.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import msgspec
from sqlalchemy import Connection, Engine, inspect, text


# Alembic's `op` is one for the whole process: two threads would take steps in each other's databases.
_one_at_a_time = threading.Lock()


class TooNew(Exception):
    """A newer version of the proxy has changed the tables."""


class Migrations(msgspec.Struct, frozen=True):
    """The steps of one set of tables.

    - ``folder``: what contains ``versions``.
    - ``newest``: the newest step. A database that is at this one needs no Alembic, which takes a while to
      import.
    - ``table``: the table that says at which step a database is.
    - ``lock``: the number of the advisory lock that a PostgreSQL database is migrated under.
    """

    folder: Path
    newest: str
    table: str
    lock: int

    def apply(self, engine: Engine) -> None:
        """Take the steps that a database still needs; raise :class:`TooNew` if it knows newer ones."""
        with engine.connect() as connection:
            if self._version(connection) == self.newest:
                return

        with (
            _one_at_a_time,
            engine.connect().execution_options(writing=True) as connection,
            connection.begin(),
        ):
            if engine.dialect.name != "sqlite":  # where one process writes at a time anyway
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({self.lock})")
            if self._version(connection) != self.newest:
                self._upgrade(connection)

    def _version(self, connection: Connection) -> str:
        if not inspect(connection).has_table(self.table):
            return ""

        statement = text(f"SELECT version_num FROM {self.table}")  # noqa: S608  # it is one of our constants
        return str(connection.execute(statement).scalar() or "")

    def _upgrade(self, connection: Connection) -> None:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        from alembic.operations import Operations
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        script = ScriptDirectory(str(self.folder))
        now = self._version(connection)
        if now and now not in {step.revision for step in script.walk_revisions()}:
            raise TooNew(f"its tables are at step {now}, which this version of the proxy does not know")

        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": self.table,
                "transactional_ddl": True,  # SQLite can, in the transaction that we have begun
                "fn": lambda revision, _context: script._upgrade_revs("head", revision),  # noqa: SLF001  # as env.py does
            },
        )
        with Operations.context(context):
            context.run_migrations()
