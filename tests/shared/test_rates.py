"""Requests a minute: one suite over the count of one process and that of all replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy.config import SharedConfig
from claude_max_proxy.rate_limits import RateLimits, Rates
from claude_max_proxy.shared import shared_of
from tests.postgresql import PostgreSQL
from tests.server.live_proxy import TOML, LiveProxy
from tests.shared.conftest import Join
from tests.shared.keys import KEY
from tests.shared.test_foundation import until


PATIENT: dict[str, Any] = {"timeout": 20}


@pytest.fixture(params=["memory", pytest.param("shared", marks=pytest.mark.postgres)])
async def rates(request: pytest.FixtureRequest) -> AsyncIterator[Rates]:
    """Return what counts: in memory, or in a database."""
    if request.param == "memory":
        yield RateLimits()
        return
    url = request.getfixturevalue("server").new_database()
    shared = shared_of(SharedConfig(url=url, **PATIENT), "1", "one")
    assert shared is not None
    await shared.open()
    assert shared.health()["status"] == "ok"
    yield shared.rates
    await shared.close()


async def test_as_many_as_a_minute_has(rates: Rates) -> None:
    """So many requests are admitted, and the next one hears when there is room; names are apart."""
    assert [await rates.admit("me", 3) for _ in range(3)] == [0, 0, 0]
    assert 50 <= await rates.admit("me", 3) <= 60
    assert await rates.admit("you", 3) == 0
    assert await rates.admit("me", 4) == 0


async def test_at_the_same_time(rates: Rates) -> None:
    """Of many requests at once, exactly as many as may be are admitted."""
    waits = await asyncio.gather(*(rates.admit("me", 25) for _ in range(60)))
    assert waits.count(0) == 25
    assert all(0 < wait <= 60 for wait in waits if wait)


@pytest.mark.postgres
async def test_exact_across_replicas(join: Join) -> None:
    """Three replicas that are asked at the same time admit together exactly what the limit says."""
    replicas = [await join(**PATIENT) for _ in range(3)]
    asked = [replica.rates.admit("me", 50) for _ in range(40) for replica in replicas]
    waits = await asyncio.gather(*asked)
    assert waits.count(0) == 50
    assert await replicas[0].rates.admit("me", 50) > 0


async def counted(connection: Any) -> int:
    """Return how many requests the database has counted."""
    row = await (
        await connection.execute("SELECT coalesce(sum(amount), 0) FROM shared_admissions")
    ).fetchone()
    return int(row[0])


@pytest.mark.postgres
async def test_a_share_while_the_database_is_away(join: Join, server: PostgreSQL) -> None:
    """While the database is away, each replica admits its share; afterwards what it admitted counts."""
    first, second = await join(**PATIENT), await join(**PATIENT)
    await until(lambda: first.replicas.count == second.replicas.count == 2)
    assert await first.rates.admit("me", 10) == 0
    await asyncio.to_thread(server.stop)
    try:
        await until(lambda: {first.health()["status"], second.health()["status"]} == {"degraded"})
        assert [await first.rates.admit("me", 10) for _ in range(6)].count(0) == 4
        assert [await second.rates.admit("me", 10) for _ in range(6)].count(0) == 5
    finally:
        await asyncio.to_thread(server.start)
    await until(lambda: {first.health()["status"], second.health()["status"]} == {"ok"})
    # The crash of the database has taken the first one; the nine that were admitted alone count.
    async with asyncio.timeout(30):
        while await second.database.run(counted, 5) != 9:  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.05)
    assert [await second.rates.admit("me", 10) for _ in range(3)].count(0) == 1


@pytest.mark.postgres
async def test_a_slow_database_is_not_waited_for(join: Join) -> None:
    """A replica that gets no answer within its time uses its own share."""
    slow, other = await join(timeout=0.1), await join()
    locked, free = asyncio.Event(), asyncio.Event()

    async def lock(connection: Any) -> None:
        async with connection.transaction():
            await connection.execute("LOCK TABLE shared_admissions")
            locked.set()
            await free.wait()

    holding = asyncio.create_task(other.database.run(lock, 60))  # noqa: TID251
    await asyncio.wait_for(locked.wait(), 30)
    slow.replicas.count = 2
    assert [await slow.rates.admit("me", 4) for _ in range(3)].count(0) == 2
    free.set()
    await holding


@pytest.mark.postgres
async def test_two_proxies(tmp_path: Path, url: str) -> None:
    """Two proxies together answer as many requests of a key as it may send a minute."""
    toml = f"""
server.api_keys = {{ me = {{ key = "key-of-me", requests_per_minute = 5 }} }}
[shared]
url = "{url}"
timeout = 20
encryption_key = "{KEY}"
{TOML}
"""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    proxies = [LiveProxy(folder, toml) for folder in folders]
    async with proxies[0].serving(), proxies[1].serving():
        key = "Bearer key-of-me"
        asked = [proxy.ask(authorization=key) for _ in range(6) for proxy in proxies]
        answers = await asyncio.gather(*asked)
    statuses = [one.status_code for one in answers]
    assert (statuses.count(200), statuses.count(429)) == (5, 7)
    assert all(0 < int(one.headers["retry-after"]) <= 60 for one in answers if one.status_code == 429)
