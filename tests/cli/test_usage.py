"""`claude-max-proxy usage`: what it prints, and what it says when there is nothing."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from claude_max_proxy import Record, Usage
from claude_max_proxy.cli.commands import usage
from claude_max_proxy.cli.usage import moment
from claude_max_proxy.ledger import Ledger, row_of
from claude_max_proxy.ledger.place import user_folder
from claude_max_proxy.ledger.spill import Spill
from tests.ledger.rows import record


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a proxy.toml whose ledger does not exist yet."""
    file = tmp_path / "proxy.toml"
    file.write_text(f'[plugins.ledger]\nurl = "sqlite:///{tmp_path / "own.sqlite"}"\n')
    return file


def fill(file: Path, *records: Record) -> None:
    """Put requests into the ledger of a proxy.toml."""

    async def add() -> None:
        ledger = Ledger(f"sqlite:///{file.with_name('own.sqlite')}", 0, folder=file.parent)
        for one in records:
            ledger.add(one)
        await ledger.flush()
        await ledger.close()

    asyncio.run(add())


def run(file: Path, *words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(usage, ["--config", str(file), *words])


def test_a_table(file: Path) -> None:
    """The groups stand under each other, the largest first, with a total and what has no price."""
    now = time.time() - 1
    fill(
        file,
        record(now, "alice", "opus", upstream_model="claude-opus-4-5", usage=Usage(10**6, 1000, 10**6, 0)),
        record(now, "bob", "other", usage=Usage(100, 10)),
        record(now, "bob", "other", usage=None, status=429),
    )
    printed = run(file, "--by", "key")
    assert printed.exit_code == 0
    assert printed.output.splitlines() == [
        "KEY    REQUESTS  FAILED      INPUT  CACHED  OUTPUT  API PRICE",
        "alice         1       0  2,000,000     50%   1,000      $5.53",
        "bob           2       1        100      0%      10          -",
        "total         3       1  2,000,100     50%   1,010      $5.53",
        "",
        "Requests whose model has no known price: 1. They are not in API PRICE.",
    ]


@pytest.mark.parametrize(
    "by", ["day", "hour", "key", "model", "session", "program", "backend", "dialect", "replica"]
)
def test_json(file: Path, by: str) -> None:
    """Every grouping can be printed as JSON, which has the same sums."""
    fill(file, record(time.time() - 1, "alice", "opus"))
    printed = json.loads(run(file, "--by", by, "--json").output)
    (group,) = printed["usage"]
    assert (printed["by"], group["requests"], group["input_tokens"], printed["gaps"]) == (by, 1, 10, [])
    assert group["cache_share"] == pytest.approx(30 / 42)
    assert (group["start"] is None) == (by not in {"day", "hour"})


def test_no_ledger_yet(file: Path) -> None:
    """Before the first request, the command says where the ledger will be, and does not create it."""
    printed = run(file)
    assert (printed.exit_code, "There is no ledger yet" in printed.output) == (0, True)
    assert str(file.with_name("own.sqlite")) in printed.output
    assert not file.with_name("own.sqlite").exists()


def test_what_waits_on_disk(file: Path) -> None:
    """What a proxy could not write before it ended is written, and shown."""
    spill = Spill(user_folder(), f"sqlite:///{file.with_name('own.sqlite')}")
    spill.add([row_of(record(time.time() - 1, "alice"))])
    spill.close()
    assert "alice" in run(file, "--by", "key").output
    assert spill.orphans() == []


def test_nothing_in_that_time(file: Path) -> None:
    """A time without requests is said as such."""
    fill(file, record(time.time() - 1))
    assert run(file, "--since", "2020-01-01", "--until", "2020-02-01").output == (
        "The ledger has no requests from 2020-01-01 00:00 to 2020-02-01 00:00.\n"
    )


def test_a_ledger_that_is_switched_off(file: Path) -> None:
    """What was kept before is still shown, with a line that says why nothing is added."""
    fill(file, record(time.time() - 1))
    file.write_text(file.read_text() + "enabled = false\n")
    printed = run(file)
    assert "switched off" in printed.stderr
    assert "REQUESTS" in printed.stdout


@pytest.mark.parametrize("text", ["tomorrow", "7", "d", "99999999h", "2026-13-01", ""])
def test_what_is_no_time(file: Path, text: str) -> None:
    """A time that cannot be read is an error that shows how to write one."""
    printed = run(file, "--since", text)
    assert printed.exit_code == 2
    assert "is no time" in printed.output


def test_times() -> None:
    """Days are whole local days that include today; hours and minutes are counted from now."""
    noon = datetime(2026, 11, 29, 12).astimezone()
    midnight = noon.replace(hour=0)
    now = noon.timestamp()
    assert moment("24h", now) == now - 86_400
    assert moment("90m", now) == now - 5400
    assert moment("1d", now) == midnight.timestamp()
    assert moment("7d", now) == (midnight - timedelta(days=6)).timestamp()
    assert moment("2w", now) == (midnight - timedelta(days=13)).timestamp()
    assert moment("2026-11-01", now) == datetime(2026, 11, 1).astimezone().timestamp()
    with pytest.raises(click.UsageError):
        moment("soon", now)


def test_a_database_that_cannot_be_read(file: Path) -> None:
    """A broken database is one readable line, and no traceback."""
    file.with_name("own.sqlite").write_bytes(b"this is no database, but it is long enough" * 100)
    printed = run(file)
    assert printed.exit_code == 1
    assert printed.output.startswith("Error: the ledger sqlite://")
    assert "file is not a database" in printed.output


def test_hostile_names(file: Path) -> None:
    """What clients call themselves cannot move the cursor or forge a line."""
    fill(file, record(time.time() - 1, program="a\x1b[2Jb\nc"))
    _, line, *more = run(file, "--by", "program").output.splitlines()
    assert len(more) == 2  # about the unknown price
    assert line.startswith("a\\x1b[2Jb\\nc ")
