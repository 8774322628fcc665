"""Shares of a plan's windows, counted by all replicas together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_max_proxy import PlanWindow, Usage
from claude_max_proxy.ledger import Ledger
from claude_max_proxy.observers.budgets.book import Book
from claude_max_proxy.observers.budgets.settings import Budget, Settings
from claude_max_proxy.observers.budgets.sharing import First, begin_together, exchange
from claude_max_proxy.shared import Shared
from tests.ledger.rows import record
from tests.postgresql import PostgreSQL
from tests.shared.conftest import Join


pytestmark = pytest.mark.postgres
ME, LENGTH = "the key 'me'", 18_000.0


class Replica:
    """The shares at one replica, with its ledger; also the part of a context that finds the ledger."""

    def __init__(self, shared: Shared, ledger: Ledger, window: PlanWindow) -> None:
        """Begin with nothing counted."""
        self.spending, self.ledger, self.window, self.book = shared.spending, ledger, window, Book()
        self.book.configure(Settings(keys={"me": Budget(window_share=0.2)}))

    def find(self, _kind: type) -> Ledger:
        """Return the ledger."""
        return self.ledger

    async def begin(self, began: float, owners: list[str], amount: float) -> None:
        """See the window for the first time, by a request that began then."""
        assert self.book.shares.begin("claude", [self.window])
        context: Any = self
        first = First(began, owners, amount)
        await begin_together(self.book, context, self.spending, "claude", "five_hour", first)

    def used(self, used: float) -> float | None:
        """Return the share of the key, if so much of the window is used."""
        return self.book.shares.of(ME, "claude", msgspec.structs.replace(self.window, used=used))


@pytest.fixture(params=["one", "one each"])
async def replicas(
    request: pytest.FixtureRequest, server: PostgreSQL, tmp_path: Path, join: Join
) -> AsyncIterator[list[Replica]]:
    """Return two replicas with the same ledger, or with one each; their clocks see a reset differently."""
    same, now, found = server.new_database(), time.time(), list[Replica]()
    async with AsyncExitStack() as stack:
        for place in range(2):
            url = same if request.param == "one" else f"sqlite:///{tmp_path}/{place}.sqlite"
            (tmp_path / str(place)).mkdir()
            ledger = Ledger(url, folder=tmp_path / str(place))
            stack.push_async_callback(ledger.close)
            window = PlanWindow("five_hour", 0.2, "", now + 3600 + 30 * place, now, LENGTH)
            found.append(Replica(await join(timeout=20), ledger, window))
        yield found


async def test_one_share_everywhere(replicas: list[Replica]) -> None:
    """Both know the same share, whoever asks which of them."""
    one, two = replicas
    one.ledger.add(record(time.time() - 600, "me", usage=Usage(100), backend="claude"))
    two.ledger.add(record(time.time() - 500, "else", usage=Usage(300), backend="claude"))
    await asyncio.gather(one.ledger.flush(), two.ledger.flush())

    before = time.time() - 1
    one.ledger.add(record(before, "me", usage=Usage(50), backend="claude"))
    await one.begin(before, [ME], 50)  # it has shown the window, and is in the ledger
    await two.begin(time.time(), [], 70)  # the window is counted already
    one.book.shares.add("claude", [ME], 150)
    two.book.shares.add("claude", [], 230)
    for replica in (one, two, one):
        await exchange(replica.book, replica.spending)

    live, ledgers = 150 + 70 + 230, 100 + 300 + 50
    each = min((0.6 - 0.2) / live, 0.6 / (live + ledgers))
    for replica in replicas:
        assert replica.used(0.6) == pytest.approx(each * (100 + 50 + 150))


async def test_the_next_window(replicas: list[Replica]) -> None:
    """After a reset, the count begins again at all of them."""
    one, two = replicas
    for replica in replicas:
        await replica.begin(time.time(), [ME], 100)
    await exchange(one.book, one.spending)
    assert one.used(0.5) is not None
    for replica in replicas:
        later = replica.window.resets_at
        assert later is not None
        replica.window = msgspec.structs.replace(replica.window, resets_at=later + LENGTH - 3600 - 60)
        replica.window = msgspec.structs.replace(replica.window, used=0.1)
        await replica.begin(time.time() - 1000, [ME], 100)
        assert replica.used(0.5) is None
    two.book.shares.add("claude", [], 100)
    await exchange(two.book, two.spending)
    await exchange(one.book, one.spending)
    assert one.used(0.5) == two.used(0.5) == 0
