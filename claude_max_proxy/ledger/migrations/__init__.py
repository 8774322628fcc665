"""Brings the tables of a database up to date, when a proxy opens it.

Each file in ``versions`` is one step, written for Alembic. Several proxies may start at the same time: one of
them takes the steps, in one transaction, and the others wait for it.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text


# The newest step. A database that is at this one needs no Alembic, which takes a while to import.
NEWEST = "0001"
_HERE = Path(__file__).parent
_VERSIONS = "ledger_version"
# Alembic's `op` is one for the whole process: two threads would take steps in each other's databases.
_one_at_a_time = threading.Lock()


class TooNew(Exception):
    """A newer version of the proxy has changed the tables."""


def migrate(engine: Engine, lock: int) -> None:
    """Take the steps that a database still needs; raise :class:`TooNew` if it knows newer ones."""
    with engine.connect() as connection:
        if _version(connection) == NEWEST:
            return

    with (
        _one_at_a_time,
        engine.connect().execution_options(writing=True) as connection,
        connection.begin(),
    ):
        if engine.dialect.name != "sqlite":  # where one process writes at a time anyway
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({lock})")
        if _version(connection) != NEWEST:
            _upgrade(connection)


def _version(connection: Connection) -> str:
    if not inspect(connection).has_table(_VERSIONS):
        return ""

    return str(connection.execute(text(f"SELECT version_num FROM {_VERSIONS}")).scalar() or "")  # noqa: S608


def _upgrade(connection: Connection) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(_HERE))
    now = _version(connection)
    if now and now not in {step.revision for step in script.walk_revisions()}:
        raise TooNew(f"its tables are at step {now}, which this version of the proxy does not know")

    context = MigrationContext.configure(
        connection,
        opts={
            "version_table": _VERSIONS,
            "transactional_ddl": True,  # SQLite can, in the transaction that we have begun
            "fn": lambda revision, _context: script._upgrade_revs("head", revision),  # noqa: SLF001  # as env.py does
        },
    )
    with Operations.context(context):
        context.run_migrations()
