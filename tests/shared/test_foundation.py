"""What every replica has in common: one database, a channel, and who is alive; over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_max_proxy.config import SharedConfig
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.shared import shared_of
from claude_max_proxy.shared.channel import CHANNEL
from claude_max_proxy.shared.errors import Away
from tests.postgresql import PostgreSQL
from tests.shared.conftest import Join


pytestmark = pytest.mark.postgres


class Note(msgspec.Struct):
    """A message of these tests."""

    text: str


async def until(true: Callable[[], Any], within: float = 30) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.02)


async def test_joins_and_leaves(join: Join) -> None:
    """Replicas that start at the same time make the tables once, and each knows how many there are."""
    first, second = await asyncio.gather(join(), join())
    await until(lambda: first.replicas.count == second.replicas.count == 2)
    health = first.health()
    assert (health["status"], health["replica"], health["replicas"]) == ("ok", first.replica, 2)
    await second.replicas.close()
    await first.replicas.beat()
    assert first.replicas.count == 1


async def test_what_each_says_of_itself(join: Join) -> None:
    """Every replica knows what the others said of themselves, and which of them it is itself."""
    first, second = await join(), await join()
    first.replicas.measure, first.replicas.address = (lambda: (3, 4)), "10.0.0.1:3456"
    await first.replicas.beat()
    await second.replicas.beat()
    (other,) = [one for one in second.replicas.facts() if not one.here]
    assert (other.name, other.address, other.version) == ("one", "10.0.0.1:3456", "1.2.3")
    assert (other.running, other.processes) == (3, 4)
    assert 0 <= other.seen < 10
    assert [one.here for one in second.replicas.facts()].count(True) == 1
    assert len(second.health()["members"]) == 2


async def test_messages(join: Join) -> None:
    """The other replicas hear a message; its sender does not, and what is malformed is ignored."""
    first, second = await join(), await join()
    heard: list[tuple[str, str]] = []
    for shared in (first, second):
        shared.channel.hear(
            "note",
            lambda raw, sender: heard.append((msgspec.json.decode(raw, type=Note).text, sender)),
        )
        await asyncio.wait_for(shared.channel.joined.wait(), 30)

    async def notify(connection: Any) -> None:
        for payload in (
            "",
            "{",
            '{"sender": 1}',
            '{"sender":"x","about":"note","body":{"text":1}}',
            "x" * 5000,
        ):
            await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))

    await first.database.run(notify, 5)
    await first.channel.send("note", Note("hello"))
    await until(lambda: heard)
    assert heard == [("hello", first.id)]


async def test_database_away(join: Join, server: PostgreSQL, caplog: pytest.LogCaptureFixture) -> None:
    """While the database is away, calls fail at once and nothing else does; all recovers by itself."""
    shared = await join()
    heard: list[str] = []
    shared.channel.hear("note", lambda raw, _: heard.append(msgspec.json.decode(raw, type=Note).text))
    await asyncio.wait_for(shared.channel.joined.wait(), 30)
    await asyncio.to_thread(server.stop)
    try:
        await until(lambda: shared.health()["status"] == "degraded")
        with pytest.raises(Away):
            await shared.channel.send("note", Note("lost"))
        assert shared.health()["problem"]
    finally:
        await asyncio.to_thread(server.start)
    await until(lambda: shared.health()["status"] == "ok")
    other = await join()
    await until(shared.channel.joined.is_set)
    await other.channel.send("note", Note("back"))
    await until(lambda: heard)
    assert heard == ["back"]
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == 2, told


async def test_starts_without_the_database(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A replica starts while the database is away; neither its log nor its health has the password."""
    file = tmp_path / "url"
    file.write_text("postgresql://user:pass-word-1@127.0.0.1:1/none?sslmode=disable")
    file.chmod(0o600)
    shared = shared_of(SharedConfig(url=f"file:{file}"), "1", "one")
    assert shared is not None
    await shared.open()
    try:
        await until(lambda: shared.health()["status"] == "degraded" and shared.health()["problem"])
        assert "pass-word-1" not in caplog.text + str(shared.health())
        assert shared.replicas.count == 1
    finally:
        await shared.close()


@pytest.mark.parametrize("url", ["sqlite:///x", "http://host/x", "postgresql://", "env:NOT_SET_ANYWHERE"])
def test_refuses_other_urls(url: str) -> None:
    """A URL of another kind is an error that names the setting."""
    with pytest.raises(ConfigError, match=r"^shared\.url: "):
        shared_of(SharedConfig(url=url), "1", "one")


async def test_deadline(join: Join) -> None:
    """A call that takes too long ends at its deadline, whatever the server does; the next one works."""
    shared = await join()

    async def sleep(connection: Any) -> None:
        await connection.execute("SELECT pg_sleep(20)")

    with pytest.raises(Away, match="did not answer"):
        await shared.database.run(sleep, 0.1)
    await shared.channel.send("note", Note("works"))
