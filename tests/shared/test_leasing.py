"""Replicas that lease parts of budgets, over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from claude_max_proxy.shared.replicas import ALIVE
from tests.postgresql import PostgreSQL
from tests.shared.conftest import Join
from tests.shared.spender import Spender, spenders
from tests.shared.test_foundation import until


pytestmark = pytest.mark.postgres
BUDGET = "the key 'me'"


async def lease(one: Spender) -> None:
    """Ask until a replica has a lease, and settle all that for nothing."""
    async with asyncio.timeout(30):
        for number in itertools.count():
            assert await one.ask(f"{one.shared.id}-{number}")
            one.settle(f"{one.shared.id}-{number}", 0)
            if number > one.asked:
                break
        while await rows(one, "NOT LIKE"):  # noqa: ASYNC110  # until what was asked for before is released
            await asyncio.sleep(0.01)


async def rows(one: Spender, which: str = "LIKE") -> list[tuple[int, int]]:
    """Return what leases hold in the database, and how much of that is spare; or other reservations."""

    async def read(connection: Any) -> list[tuple[int, int]]:
        found = await connection.execute(
            f"SELECT tokens, spare_tokens FROM shared_reserved WHERE id {which} 'lease-%'"
        )
        return [tuple(row) for row in await found.fetchall()]

    return await one.shared.database.run(read, 20)


async def test_most_requests_ask_nobody(join: Join) -> None:
    """A busy replica asks the database now and then, and all that is used is counted."""
    first, second = await spenders(join, 2, 10**9)
    for number in range(500):
        assert await first.ask(str(number))
        first.settle(str(number), 90)
        await asyncio.sleep(0.001)
    assert first.asked < 50
    async with asyncio.timeout(30):
        while await second.used() != 45_000:  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.02)


async def test_used_up_to_the_last_token(join: Join) -> None:
    """Three busy replicas use a budget up exactly, and nothing beyond it, whoever leases what."""
    replicas, limit, used = await spenders(join, 3, 60_000), 60_000, list[int]()

    async def spend(one: Spender, name: str) -> None:
        for number in itertools.count():
            if sum(used) >= limit:
                return
            if await one.ask(f"{name}-{number}"):
                await asyncio.sleep(0.001)
                used.append(100)
                one.settle(f"{name}-{number}", 100)
            else:
                await asyncio.sleep(0.01)

    async with asyncio.timeout(120):
        work = [spend(one, f"{place}-{task}") for place, one in enumerate(replicas) for task in range(5)]
        await asyncio.gather(*work)
    assert sum(used) == limit
    assert sum(one.asked for one in replicas) < len(used)
    assert not any([await one.ask("more", 1) for one in replicas])


async def test_what_another_has_leased(join: Join) -> None:
    """Who needs what another replica has leased and does not use gets it."""
    first, second = await spenders(join, 2, 20_000)
    await lease(first)
    assert await rows(first) != []
    assert await second.ask("large", 19_900)
    assert sum(spare for _, spare in await rows(first)) == 0
    assert not await first.ask("more", 200)
    assert await first.ask("last", 100)


async def test_what_another_holds(join: Join) -> None:
    """What requests hold of a lease is not given back."""
    first, second = await spenders(join, 2, 20_000)
    await lease(first)
    before = first.asked
    assert await first.ask("running", 100)
    assert first.asked == before
    assert not await second.ask("large", 19_950)
    assert await second.ask("fits", 19_900)


async def test_nobody_asks_any_more(join: Join) -> None:
    """A lease ends a few seconds after the last request."""
    first, _ = await spenders(join, 2, 10**9)
    await lease(first)
    async with asyncio.timeout(30):
        while await rows(first):  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.05)


async def test_the_lease_of_a_replica_that_is_killed(join: Join) -> None:
    """It counts until the replica is no longer thought to be alive."""
    first, second = await spenders(join, 2, 20_000)
    await lease(first)
    (leased,) = [tokens for tokens, _ in await rows(first)]
    await first.shared.spending._tasks.close()  # nothing is said any more, as after kill -9
    await first.shared.channel.close()
    await first.shared.replicas._tasks.close()
    assert leased > 0
    assert not await second.ask("early", 20_000)

    async def later(connection: Any) -> None:
        await connection.execute(
            "UPDATE shared_replicas SET seen = seen - make_interval(secs => %s) WHERE id = %s",
            (ALIVE, first.shared.id),
        )

    await second.shared.database.run(later, 20)
    assert await second.ask("late", 20_000)


async def test_the_database_restarts(join: Join, server: PostgreSQL) -> None:
    """What was leased before is not spent afterwards: the database has lost it."""
    first, second = await spenders(join, 2, 20_000)
    await lease(first)
    await asyncio.to_thread(server.stop)
    try:
        await until(lambda: first.shared.health()["status"] == "degraded")
        asked = first.asked
        assert await first.ask("alone")
        assert first.asked == asked + 1
    finally:
        await asyncio.to_thread(server.start)
    await until(lambda: all(one.shared.health()["status"] == "ok" for one in (first, second)))
    assert await second.ask("all of it", 20_000)
    assert not await first.ask("nothing is left")
