"""What happens to rows while the database is away, and when it is back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from claude_max_proxy.ledger import Ledger, Unavailable, database, store
from claude_max_proxy.ledger.row import row_of
from claude_max_proxy.ledger.spill import Spill
from tests.ledger.rows import record
from tests.postgresql import PostgreSQL


class Away:
    """A SQLite ledger whose folder can be taken away and given back."""

    def __init__(self, folder: Path, most_bytes: int = 10**6) -> None:
        """Begin with the database away: a file is in the place of its folder."""
        self.folder = folder / "there"
        self.waiting = folder / "waiting"
        self.url = f"sqlite:///{self.folder / 'ledger.sqlite'}"
        self.folder.write_text("in the way")
        self.most_bytes = most_bytes
        self.ledger = self.new()

    def new(self) -> Ledger:
        """Return another process's ledger."""
        return Ledger(self.url, 0, folder=self.waiting, most_bytes=self.most_bytes)

    def back(self) -> None:
        """Let the folder be made again."""
        self.folder.unlink()

    @property
    def files(self) -> list[Path]:
        """The files in which rows wait."""
        return list(self.waiting.glob("*"))


async def settled(ledger: Ledger, waiting: int) -> None:
    """Wait until as many rows wait on disk."""
    async with asyncio.timeout(10):
        while (ledger.state().spilled, ledger.state().waiting) != (waiting, waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def ids(ledger: Ledger) -> list[str]:
    """Return the ids of all rows, in order."""
    return sorted([row.id async for row in ledger.export()])


def contents(folder: Path) -> list[str]:
    """Return what is in the files of a folder, and their names."""
    return [f"{file.name} {file.read_text()}" for file in folder.glob("*")]


async def test_rows_wait_and_are_written_later(tmp_path: Path) -> None:
    """Rows wait in a file for the user alone while the database is away; they are written later."""
    away = Away(tmp_path)
    given = [record() for _ in range(10)]
    for one in given[:7]:
        away.ledger.add(one)
    await settled(away.ledger, 7)
    with pytest.raises(Unavailable, match=r"FileExistsError|NotADirectory"):
        await away.ledger.requests()
    (file,) = away.files
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(away.waiting.stat().st_mode) == 0o700
    assert away.ledger.state().away
    away.back()
    for one in given[7:]:
        away.ledger.add(one)
    assert await ids(away.ledger) == [one.id for one in given]
    assert (away.ledger.state().waiting, away.ledger.state().away, away.files) == (0, "", [])
    await away.ledger.close()


async def test_rows_are_written_without_another_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the database is back, what waits is written soon, also if nobody asks for anything."""
    monkeypatch.setattr(store, "_FIRST_RETRY", 0.1)
    away = Away(tmp_path)
    away.ledger.add(record())
    await settled(away.ledger, 1)
    away.back()
    await settled(away.ledger, 0)
    assert away.ledger.state().written == 1
    await away.ledger.close()


async def test_rows_outlive_their_process(tmp_path: Path) -> None:
    """What a process has left on disk is written by the next one, but never by one beside it."""
    away = Away(tmp_path)
    given = [record() for _ in range(5)]
    for one in given:
        away.ledger.add(one)
    await settled(away.ledger, 5)
    beside = away.new()
    away.back()
    beside.add(record(id="z"))
    await beside.flush()
    assert await ids(beside) == ["z"]
    away.folder.rename(tmp_path / "elsewhere")
    away.folder.write_text("in the way again")
    await away.ledger.close()
    assert len(away.files) == 1
    away.back()
    (tmp_path / "elsewhere").rename(away.folder)
    after = away.new()
    assert await ids(after) == [*(one.id for one in given), "z"]
    assert away.files == []
    await beside.close()
    await after.close()


async def test_what_is_lost_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the disk has no room for more, rows are counted, a warning says so, and a row marks the gap."""
    away = Away(tmp_path, most_bytes=2000)
    for _ in range(20):
        away.ledger.add(record())
    async with asyncio.timeout(10):
        while away.ledger.state().waiting > away.ledger.state().spilled or not away.ledger.state().lost:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    kept, lost = away.ledger.state().spilled, away.ledger.state().lost
    assert (kept + lost, sum(file.stat().st_size <= 2000 for file in away.files)) == (20, 1)
    assert kept > 0
    away.back()
    (gap,) = await away.ledger.gaps(0, 1e11)
    assert (gap.lost, len(await ids(away.ledger))) == (lost, kept)
    assert "the file in which rows wait is full" in gap.reason
    assert "loses requests" in caplog.text
    assert f"lost {lost} requests" in caplog.text
    await away.ledger.close()
    assert len(await away.new().gaps(0, 1e11)) == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs a POSIX system")
async def test_no_disk_at_all(tmp_path: Path) -> None:
    """Without a place for rows to wait, they are lost and counted, and the ledger lives on."""
    away = Away(tmp_path)
    away.waiting.write_text("in the way")
    away.ledger.add(record())
    async with asyncio.timeout(10):
        while not away.ledger.state().lost:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    away.back()
    away.ledger.add(record(id="later"))
    assert await ids(away.ledger) == ["later"]
    await away.ledger.close()


async def test_a_locked_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows wait while another program holds the lock for long, and are written after that."""
    monkeypatch.setattr(database, "_PATIENCE", 1)
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger = Ledger(url, 0, folder=tmp_path / "waiting")
    ledger.add(record(id="a"))
    await ledger.flush()
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ledger.add(record(id="b"))
    async with asyncio.timeout(20):
        while (bool(ledger.state().away), ledger.state().spilled) != (True, 1):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    other.execute("ROLLBACK")
    other.close()
    assert await ids(ledger) == ["a", "b"]
    await ledger.close()


async def test_a_line_that_broke_off(tmp_path: Path) -> None:
    """The last line of a process that was killed may be incomplete: the others are still written."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    spill = Spill(tmp_path / "waiting", url)
    spill.add([row_of(record(id="a")), row_of(record(id="b"))])
    spill.close()
    (file,) = spill.orphans()
    file.write_bytes(file.read_bytes()[:-9])
    ledger = Ledger(url, 0, folder=tmp_path / "waiting")
    assert await ids(ledger) == ["a"]
    assert spill.orphans() == []
    await ledger.close()


async def test_closing_sets_aside_what_cannot_be_written(tmp_path: Path) -> None:
    """A ledger that is closed while its database is away leaves its rows on disk."""
    away = Away(tmp_path)
    given = [record() for _ in range(3)]
    for one in given:
        away.ledger.add(one)
    await away.ledger.close()
    away.back()
    after = away.new()
    assert await ids(after) == [one.id for one in given]
    await after.close()


async def test_a_stuck_thread_is_not_waited_for(tmp_path: Path) -> None:
    """If the database hangs, closing sets the rows aside when its deadline is over."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger = Ledger(url, 0, folder=tmp_path / "waiting")
    ledger.add(record(id="a"))
    await ledger.flush()
    other = sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ledger.add(record(id="b"))
    await ledger.close(0.5)
    other.close()
    after = Ledger(url, 0, folder=tmp_path / "waiting")
    assert await ids(after) == ["a", "b"]
    await after.close()


async def test_a_closed_ledger(tmp_path: Path) -> None:
    """What comes after the end is not kept, and questions are refused at once."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", 0, folder=tmp_path)
    await ledger.close()
    ledger.add(record())
    with pytest.raises(Unavailable):
        await ledger.requests()
    assert ledger.state().lost == 1


@pytest.mark.postgres
async def test_a_server_that_goes_and_comes_back(server: PostgreSQL, tmp_path: Path) -> None:
    """Rows wait while PostgreSQL is stopped; they and what is asked then are there after its start."""
    ledger = Ledger(server.new_database(), 0, folder=tmp_path)
    ledger.add(record(id="a"))
    await ledger.flush()
    await asyncio.to_thread(server.stop)
    try:
        ledger.add(record(id="b"))
        await settled(ledger, 1)
        with pytest.raises(Unavailable):
            await ledger.requests()
    finally:
        await asyncio.to_thread(server.start)
    ledger.add(record(id="c"))
    assert await ids(ledger) == ["a", "b", "c"]
    await ledger.close()


@pytest.mark.postgres
async def test_no_password_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the state, an error nor the log shows the password in a URL."""
    ledger = Ledger("postgresql://someone:hunter22@127.0.0.1:1/nowhere", 0, folder=tmp_path)
    ledger.add(record())
    with pytest.raises(Unavailable) as caught:
        await ledger.requests()
    await ledger.close()
    shown = f"{caught.value} {caught.value.__cause__!r} {ledger.state()} {caplog.text}"
    assert "127.0.0.1:1" in shown
    assert "hunter22" not in shown
    assert not any("hunter22" in text for text in await asyncio.to_thread(contents, tmp_path))
