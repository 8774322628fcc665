"""Budgets of all replicas together, over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from claude_max_proxy.errors import ProxyError
from claude_max_proxy.facts.spending import Spent
from claude_max_proxy.shared import settling as settling_module
from claude_max_proxy.testing import ScriptedUpstream
from tests.cli.serving_process import CHAT, serving
from tests.postgresql import PostgreSQL
from tests.shared.conftest import Join
from tests.shared.keys import KEY
from tests.shared.spender import spenders
from tests.shared.test_foundation import until


pytestmark = pytest.mark.postgres


async def test_never_more_than_there_is(join: Join) -> None:
    """Of many requests that begin at once at several replicas, exactly those are admitted that fit."""
    replicas = await spenders(join, 3)
    asked = [one.ask(f"{number}-{place}") for number in range(10) for place, one in enumerate(replicas)]
    assert (await asyncio.gather(*asked)).count(True) == 10
    assert await replicas[0].used() == 0
    assert replicas[0].book.facts()[0].reserved == 1000


async def test_what_is_used_counts(join: Join) -> None:
    """What a request has used takes the place of what was held, for all replicas; then it is used up."""
    first, second = await spenders(join)
    assert await first.ask("a", 900)
    assert not await second.ask("b", 200)
    first.settle("a", 300)
    async with asyncio.timeout(30):
        while await second.used() != 300:  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.02)
    assert await second.ask("b", 600)
    second.settle("b", 700)
    async with asyncio.timeout(30):
        while await first.used() != 1000:  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.02)
    with pytest.raises(ProxyError, match="1,000 of 1,000 tokens a day"):
        await first.admit("c", 1)


async def test_a_replica_that_is_gone_holds_nothing(join: Join) -> None:
    """What a replica held when it was killed counts no more once it is not alive."""
    first, second = await spenders(join)
    assert await first.ask("a", 1000)
    assert not await second.ask("b")
    await first.shared.replicas.close()
    assert await second.ask("b")


async def test_a_share_while_the_database_is_away(join: Join, server: PostgreSQL) -> None:
    """While the database is away, a replica admits within its share, and settles when it is back."""
    first, second = await spenders(join)
    await asyncio.to_thread(server.stop)
    try:
        await until(lambda: first.shared.health()["status"] == "degraded")
        assert [await first.ask(f"alone-{number}") for number in range(7)].count(True) == 5
        first.settle("alone-0", 120)
    finally:
        await asyncio.to_thread(server.start)
    await until(lambda: second.shared.health()["status"] == "ok")
    async with asyncio.timeout(30):
        while await second.used() != 120:  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.05)


async def test_sums_of_what_is_old(join: Join) -> None:
    """Adding up what is old changes no sum, however often and by whomever it is done."""
    first, second = await spenders(join)
    ages = [1500.0 + 400 * number for number in range(9)]

    async def spend(connection: Any) -> None:
        for number, age in enumerate(ages):
            await connection.execute(
                "INSERT INTO shared_spent "
                "VALUES ('b', %s, now() - make_interval(secs => %s), 10, 0.5, false)",
                (str(number), age),
            )

    async def sum_up(connection: Any) -> int:
        await connection.execute(settling_module._SUM_UP)
        return int((await (await connection.execute("SELECT count(*) FROM shared_spent")).fetchone())[0])

    await first.shared.database.run(spend, 20)
    counts = await asyncio.gather(*(one.shared.database.run(sum_up, 20) for one in (first, second, first)))
    assert min(counts) < len(ages)
    (standing,) = await second.shared.spending.standings(["b"], {"day": 86_400})
    assert standing.used["day"] == Spent(90, 4.5)
    assert not standing.seconds


@pytest.mark.slow
async def test_two_processes(tmp_path: Path, url: str) -> None:
    """Two real proxies use a budget up together, and what was running at most beyond it; one is killed."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    async with ScriptedUpstream() as upstream:
        toml = f"""
big = "api/claude-opus-4-5"
[backends.api]
type = "anthropic"
base_url = "{upstream.url}"
api_key = "sk-ant"
[shared]
url = "{url}"
encryption_key = "{KEY}"
timeout = 20
[plugins.budgets.models.big]
tokens_per_day = 300
"""
        async with serving(folders[0], toml) as one, serving(folders[1], toml) as two:
            addresses = [await proxy.says(r"address\s+(\S+)") for proxy in (one, two)]
            async with httpx.AsyncClient(timeout=30) as http:
                asked = {**CHAT, "model": "big"}

                async def ask(number: int) -> httpx.Response:
                    return await http.post(f"{addresses[number % 2]}/chat/completions", json=asked)

                used = []
                for _ in range(100):
                    answers = await asyncio.gather(*map(ask, range(2)))
                    used += [one.json()["usage"]["total_tokens"] for one in answers if one.status_code == 200]
                    if {one.status_code for one in answers} == {429} and sum(used) >= 300:
                        break
                assert 300 <= sum(used) <= 300 + 2 * max(used)
                await one.stop(signal.SIGKILL)
                assert (await ask(1)).status_code == 429
