"""The tables of a database are created and brought up to date by whoever opens it first."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from claude_max_proxy import ConfigError
from claude_max_proxy.databases.migrations import TooNew
from claude_max_proxy.ledger import Ledger, Row, Unavailable, Where, find_url, keeping, queries, tables
from claude_max_proxy.ledger.database import Database
from tests.ledger.rows import START, record


def test_the_steps_lead_to_the_tables(url: str) -> None:
    """What the steps create is what the code expects, column by column and index by index."""
    database = Database(url)
    with database.reading() as connection:
        options = {"version_table": "ledger_version"}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.metadata) == []
    database.close()


def test_opening_twice(url: str) -> None:
    """A database that is up to date is left as it is."""
    first = Database(url)
    keeping.write(first, [Row(id="a", began=START)])
    first.close()
    second = Database(url)
    assert [row.id for row in queries.requests(second, Where(), 10, None)] == ["a"]
    second.close()


def test_rows_from_before_replicas(url: str) -> None:
    """A database of the first step gets the column; its rows stay, without a replica."""
    database = Database(url)
    keeping.write(database, [Row(id="old", began=START)])
    with database.writing() as connection:
        connection.execute(sqlalchemy.text("ALTER TABLE requests DROP COLUMN replica"))
        connection.execute(sqlalchemy.text("UPDATE ledger_version SET version_num = '0001'"))
    database.close()
    database = Database(url)
    keeping.write(database, [Row(id="new", began=START + 1, replica="one")])
    found = queries.requests(database, Where(), 10, None)
    assert [(row.id, row.replica) for row in found] == [("new", "one"), ("old", "")]
    database.close()


def test_several_start_at_once(url: str) -> None:
    """Any number of processes may open an empty database at the same time, and write to it."""
    problems: list[BaseException] = []
    together = threading.Barrier(6)

    def start(number: int) -> None:
        try:
            together.wait(20)
            database = Database(url)
            for one in range(5):
                keeping.write(database, [Row(id=f"{number}-{one}", began=START)])
                keeping.sum_up(database, START)
            database.close()
        except BaseException as error:  # told below
            problems.append(error)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert problems == []
    database = Database(url)
    assert queries.spent(database, 0, Where()).requests == 30
    database.close()


def test_several_databases_at_once(tmp_path: Path) -> None:
    """One process may open several databases at the same time, as when a reload changes the URL."""
    together = threading.Barrier(4)
    made: list[set[str]] = []

    def start(number: int) -> None:
        together.wait(20)
        database = Database(f"sqlite:///{tmp_path / str(number)}.sqlite")
        made.append(set(sqlalchemy.inspect(database.engine).get_table_names()))
        database.close()

    threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert made == [{*tables.metadata.tables, "ledger_version"}] * 4


async def test_a_newer_proxy_was_here(url: str, tmp_path: Path) -> None:
    """Tables of a newer version are not touched: rows wait, and the message says why."""
    database = Database(url)
    with database.writing() as connection:
        connection.execute(sqlalchemy.text("UPDATE ledger_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(TooNew):
        Database(url)
    ledger = Ledger(url, 0, folder=tmp_path / "waiting")
    ledger.add(record())
    with pytest.raises(Unavailable, match="step 9999, which this version of the proxy does not know"):
        await ledger.requests()
    await ledger.close()
    assert len(list((tmp_path / "waiting").iterdir())) == 1


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A database in which a step failed is as it was before, so that the step can be tried again."""
    file = tmp_path / "ledger.sqlite"
    engine = sqlalchemy.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:  # the step cannot create a table that is there
        connection.execute(sqlalchemy.text("CREATE TABLE gaps (id INTEGER)"))
    with pytest.raises(sqlalchemy.exc.OperationalError):
        Database(f"sqlite:///{file}")
    assert sqlalchemy.inspect(engine).get_table_names() == ["gaps"]
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE gaps"))
    engine.dispose()
    Database(f"sqlite:///{file}").close()


def test_the_file_is_private(tmp_path: Path) -> None:
    """The file, SQLite's files beside it and a new folder are for the user alone."""
    file = tmp_path / "new" / "folder" / "ledger.sqlite"
    database = Database(f"sqlite:///{file}")
    keeping.write(database, [Row(id="a", began=START)])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    database.close()
    assert set(modes) >= {"ledger.sqlite", "ledger.sqlite-wal"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "url",
    ["mysql://a:hunter22@b/c", "sqlite://", "sqlite:///", "sqlite:///:memory:", "hunter22", "postgresql://"],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    """What is no database of ours is refused by its setting's name, without what may be a password."""
    with pytest.raises(ConfigError, match=r"^plugins\.ledger\.url: ") as caught:
        find_url(url)
    assert "hunter22" not in str(caught.value)


def test_where_a_url_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A URL may be in a variable or a file, and a path may begin at the home directory."""
    monkeypatch.setenv("LEDGER", "postgres://someone@server/name")
    assert find_url("env:LEDGER") == "postgresql://someone@server/name"
    secret = tmp_path / "url"
    secret.write_text("postgresql:///name?host=/run\n")
    secret.chmod(0o600)
    assert find_url(f"file:{secret}") == "postgresql:///name?host=/run"
    monkeypatch.setenv("HOME", "/home/someone")
    assert find_url("sqlite:///~/x.sqlite") == "sqlite:////home/someone/x.sqlite"


async def test_nothing_heavy_is_imported() -> None:
    """Neither SQLAlchemy nor the prices are imported before a database is needed."""
    heavy = ("sqlalchemy", "alembic", "genai_prices", "psycopg", "pydantic")
    modules = "claude_max_proxy.cli.serving, claude_max_proxy.observers.ledger"
    code = f"import sys, {modules}; print([one for one in {heavy} if one in sys.modules])"
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"
