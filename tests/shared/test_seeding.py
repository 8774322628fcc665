"""Budgets of all replicas begin with what ledgers have of the time before."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from claude_max_proxy import Usage
from claude_max_proxy.ledger import Ledger
from claude_max_proxy.observers.budgets.book import Book
from claude_max_proxy.observers.budgets.periods import PERIODS, begin
from claude_max_proxy.observers.budgets.seeding import seed
from claude_max_proxy.observers.budgets.settings import Budget, Settings
from claude_max_proxy.observers.budgets.together import refresh
from claude_max_proxy.shared import Shared
from claude_max_proxy.testing import ScriptedUpstream
from tests.cli.serving_process import CHAT, serving
from tests.ledger.rows import record
from tests.postgresql import PostgreSQL
from tests.shared.conftest import Join
from tests.shared.keys import KEY


pytestmark = pytest.mark.postgres
AGES = [5.0, 90.0, 2000.0, 5000.0, 40_000.0, 90_000.0, 700_000.0]  # seconds


class Plugins:
    """The part of a context that finds a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        """Find this one."""
        self._ledger = ledger

    def find(self, _kind: type) -> Ledger:
        """Return it."""
        return self._ledger


@pytest.fixture(params=["one", "one each"])
async def ledgers(
    request: pytest.FixtureRequest, server: PostgreSQL, tmp_path: Path
) -> AsyncIterator[list[Ledger]]:
    """Return the ledgers of two replicas: the same PostgreSQL, or an SQLite file each."""
    same = server.new_database()
    async with AsyncExitStack() as stack:
        found = []
        for name in ("a", "b"):
            url = same if request.param == "one" else f"sqlite:///{tmp_path}/{name}.sqlite"
            found.append(Ledger(url, folder=tmp_path / name))
            (tmp_path / name).mkdir()
            stack.push_async_callback(found[-1].close)
        yield found


def book() -> Book:
    """Return the budgets of one key."""
    found = Book()
    budget = Budget(tokens_per_hour=10**6, tokens_per_day=10**6, tokens_per_month=10**6)
    found.configure(Settings(keys={"me": budget}))
    return found


async def used(shared: Shared) -> list[float]:
    """Return what is used of the hour, the day and the month."""
    found = book()
    await refresh(found, shared.spending)
    return [one.used for one in found.facts()]


async def test_once_and_exactly(join: Join, ledgers: list[Ledger]) -> None:
    """Whatever ledgers have of the running hour, day and month counts, once, whoever starts how often."""
    replicas, now = [await join(timeout=20) for _ in ledgers], time.time()
    for place, ledger in enumerate(ledgers):
        for number, age in enumerate(AGES):
            usage = Usage(10**number, place)
            ledger.add(record(now - age, "me", usage=usage))
            ledger.add(record(now - age, "other", usage=usage))
        ledger.add(record(now + 60, "me", usage=Usage(77)))  # counted by the replicas themselves
        await ledger.flush()

    def expected(period: Any) -> int:
        since = begin(period, now)
        return sum(2 * 10**number + 1 for number, age in enumerate(AGES) if now - age >= since)

    async def start(place: int) -> None:
        given: Any = Plugins(ledgers[place])
        await seed(book(), given, replicas[place].spending, [("key", "me")], now)

    await asyncio.gather(*(start(place) for place in (0, 1, 0, 1)))
    await start(0)
    assert await used(replicas[1]) == [expected(period) for period in PERIODS]


async def test_what_counts_already(join: Join) -> None:
    """A budget that counted before there were seeds begins with nothing more."""
    shared = await join()

    async def count(connection: Any) -> None:
        await connection.execute("INSERT INTO shared_seeds VALUES ('b', '', now(), true)")

    await shared.database.run(count, 20)
    assert set(await shared.spending.unseeded(["a", "b"], "ledger", 0)) == {"a"}


async def test_who_began_first(join: Join) -> None:
    """The ledger counts until the first replica began to count, whichever asks first."""
    shared = await join()
    ages = [(await shared.spending.unseeded(["a"], "ledger", age))["a"] for age in (10, 100, 50)]
    assert [round(age / 10) for age in ages] == [1, 10, 10]
    await shared.spending.seed("a", "ledger", [])
    assert await shared.spending.unseeded(["a"], "ledger", 200) == {}
    assert set(await shared.spending.unseeded(["a"], "another ledger", 0)) == {"a"}


@pytest.mark.slow
async def test_shared_is_switched_on(tmp_path: Path, url: str) -> None:
    """A proxy that is started again with ``[shared]`` remembers what was used of its budgets."""
    async with ScriptedUpstream() as upstream:
        toml = f"""
big = "api/claude-opus-4-5"
[backends.api]
type = "anthropic"
base_url = "{upstream.url}"
api_key = "sk-ant"
[plugins.ledger]
url = "sqlite:///{tmp_path}/ledger.sqlite"
[plugins.budgets.models.big]
tokens_per_day = 60
"""
        more = f'[shared]\nurl = "{url}"\nencryption_key = "{KEY}"\ntimeout = 20\n'
        for number, text in enumerate((toml, toml + more)):
            folder = tmp_path / str(number)
            folder.mkdir()
            async with serving(folder, text) as proxy, httpx.AsyncClient(timeout=30) as http:
                address = (await proxy.says(r"address\s+(\S+)")).removesuffix("/v1")

                async def ask(http: httpx.AsyncClient = http, address: str = address) -> int:
                    asked = {**CHAT, "model": "big"}
                    return (await http.post(f"{address}/v1/chat/completions", json=asked)).status_code

                if not number:
                    answers = [await ask() for _ in range(8)]
                    assert answers[0] == 200
                    assert answers[-1] == 429
                else:  # the ledger is read in the background
                    await until(http, f"{address}/metrics", r"budget_used_ratio\S* 1\.")
                    assert await ask() == 429
                await proxy.stop(signal.SIGTERM)


async def until(http: httpx.AsyncClient, url: str, pattern: str) -> None:
    """Wait until a page says this."""
    async with asyncio.timeout(60):
        while not re.search(pattern, (await http.get(url)).text):  # noqa: ASYNC110  # it is another process
            await asyncio.sleep(0.1)
