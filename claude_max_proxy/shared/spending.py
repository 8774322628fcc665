"""Counts in the database what all replicas use: reservations and uses are appended, and summed when asked.

Nobody else reserves of a budget between a look at it and the reservation. A replica that is often asked
leases a part of what is left, see `lease.py`; near the end of a budget, nothing is leased.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from psycopg import Error

from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.errors import Unreachable
from claude_max_proxy.facts.spending import Spending, Spent, Standing, WindowUse
from claude_max_proxy.shared.channel import Channel
from claude_max_proxy.shared.database import Connection, Database
from claude_max_proxy.shared.errors import Away
from claude_max_proxy.shared.lease import AGAIN, Lease
from claude_max_proxy.shared.leases import Leases
from claude_max_proxy.shared.replicas import SharedReplicas
from claude_max_proxy.shared.reserving import Asked, Reserving
from claude_max_proxy.shared.seeds import Seeds
from claude_max_proxy.shared.settling import Settling
from claude_max_proxy.shared.standings import read
from claude_max_proxy.shared.windows import Windows


_TIMEOUT = 5.0  # seconds
_RECALL_WITHIN = 0.25  # seconds that a request waits for what others have leased
_LOOK_AGAIN = 0.02
_ABOUT = "leases"
_MOST_RECALLED = 20


class _Recall(msgspec.Struct, frozen=True):
    """Asks other replicas to give back what they have leased of these budgets and hold for no request."""

    budgets: Annotated[list[Annotated[str, Meta(max_length=1000)]], Meta(max_length=_MOST_RECALLED)]


_recall = msgspec.json.Decoder(_Recall)


class SharedSpending(Spending):
    """Counts what all replicas use, in one database."""

    def __init__(
        self, database: Database, channel: Channel, replicas: SharedReplicas, replica: str, timeout: float
    ) -> None:
        """Reserve for the replica with this id; wait at most ``timeout`` seconds for that."""
        self._database = database
        self._channel = channel
        self._replicas = replicas
        self._timeout = timeout
        self._settling = Settling(database)
        self._seeds = Seeds(database)
        self._windows = Windows(database, replica)
        self._leases = Leases()
        self._reserving = Reserving(replica, self._leases, self._settling, self._lessees)
        self._asked: list[Asked] = []
        self._asking = False
        self._wake = asyncio.Event()
        self._tasks = Tasks()
        database.on_return.append(self._returned)
        channel.hear(_ABOUT, self._hear)

    @property
    def replicas(self) -> int:
        """How many replicas are alive."""
        return max(self._replicas.count, 1)

    def open(self) -> None:
        """Begin to settle, to renew leases, and to sum up what is old."""
        self._settling.open()
        self._tasks.keep(self._renew_on, "shared-leases")

    async def close(self) -> None:
        """Settle what there is, within a short time."""
        await self._tasks.close()
        await self._settling.close()

    async def standings(self, budgets: Sequence[str], since: Mapping[str, float]) -> list[Standing]:
        """Return how budgets stand."""
        with _reachable():
            found = await self._database.run(lambda one: read(one, budgets, since), _TIMEOUT)
        return [one.without_spare for one in found]

    def reserve_here(self, id: str, budgets: Sequence[str], amount: Spent) -> bool:
        """Hold an amount out of what is leased."""
        if self._database.status != "ok" or not self._leases.take(id, budgets, amount):
            return False
        if self._leases.are_low():
            self._wake.set()
        return True

    async def reserve(
        self,
        id: str,
        budgets: Sequence[str],
        amount: Spent,
        since: Callable[[], Mapping[str, float]],
        check: Callable[[list[Standing]], None],
        rooms: Sequence[Callable[[Standing], Spent]] = (),
    ) -> None:
        """Hold an amount for a request."""
        now = time.monotonic()
        for budget, room in zip(budgets, rooms, strict=False):
            self._leases.add(budget, Lease(room, since, now))
            self._leases.note(budget, amount)
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        until = now + min(_RECALL_WITHIN, self._timeout / 2)
        self._asked.append(Asked(id, list(budgets), amount, since, check, answer, until))
        self._ask_soon()
        try:
            async with asyncio.timeout(self._timeout):
                await answer
        except (Away, TimeoutError) as error:
            raise Unreachable("the budgets of all replicas cannot be reached") from error

    def settle(self, id: str, budgets: Sequence[str], amount: Spent) -> None:
        """Replace soon what is held for a request by what it has used."""
        those = set(budgets)
        self._leases.settle(id, those, amount)
        self._settling.add(those, amount)
        if self._reserving.forget(id):
            self._settling.release(id)

    async def unseeded(self, budgets: Sequence[str], source: str, age: float) -> dict[str, float]:
        """Return how many seconds ago the count of each budget began that lacks what a ledger has."""
        with _reachable():
            return await self._seeds.unseeded(budgets, source, age)

    async def seed(self, budget: str, source: str, amounts: Sequence[tuple[float, Spent]]) -> None:
        """Count what a ledger has, unless that was done."""
        with _reachable():
            await self._seeds.seed(budget, source, amounts)

    async def count_window(self, name: str, age: float, base: float, mine: Mapping[str, float]) -> WindowUse:
        """Say what was counted here of a window, and return what others have counted."""
        with _reachable():
            return await self._windows.count(name, age, base, mine)

    async def count_window_before(
        self, name: str, age: float, base: float, source: str, amounts: Mapping[str, float]
    ) -> None:
        """Say what one ledger has of the time before anybody counted a window."""
        with _reachable():
            await self._windows.count_before(name, age, base, source, amounts)

    # --- reserving

    def _ask_soon(self) -> None:
        if not self._asking:
            self._asking = True
            self._tasks.start(self._ask(), "shared-reserve", lasting=True)

    async def _ask(self) -> None:
        """Reserve for all requests that wait, in one transaction, and renew leases, until none waits."""
        try:
            due = self._leases.due()
            while self._asked or due:
                asked, self._asked = [one for one in self._asked if not one.answer.done()], []
                fine = await self._reserve(asked, due)
                due = self._leases.due() if fine else []
        finally:
            self._asking = False

    async def _reserve(self, asked: list[Asked], due: list[str]) -> bool:
        """Reserve once; those that only lack what others have leased wait for that, and are asked again.

        Returns whether the database could be asked.
        """
        fine = True

        async def reserve(connection: Connection) -> dict[str, Exception]:
            return await self._reserving.reserve(connection, asked, due)

        try:
            refused = await self._database.run(reserve, self._timeout)
        except (Away, Error) as error:
            self._leases.void()
            fine, self._reserving.wait_for_others = False, set()
            refused = dict.fromkeys((one.id for one in asked), Away(type(error).__name__))
        again = self._reserving.wait_for_others
        for one in asked:
            if one.answer.done():
                self.settle(one.id, (), Spent())  # nobody waits any more, so nothing is held
            elif one.id in again:
                self._asked.append(one)
            elif (failure := refused.get(one.id)) is not None:
                one.answer.set_exception(failure)
            else:
                one.answer.set_result(None)
        if again:
            await self._recall(sorted({budget for one in asked if one.id in again for budget in one.budgets}))
        return fine

    # --- leases

    def _lessees(self) -> int:
        """Return how many replicas may lease; 0 if this one may not, for it would not hear a recall."""
        return self.replicas if self._channel.joined.is_set() else 0

    async def _recall(self, budgets: list[str]) -> None:
        """Return what is leased here, ask the other replicas to do the same, and wait a moment for them."""
        self._leases.recall(budgets)
        for place in range(0, len(budgets), _MOST_RECALLED):
            try:
                await self._channel.send(_ABOUT, _Recall(budgets[place : place + _MOST_RECALLED]))
            except (Away, Error):
                return
        await asyncio.sleep(_LOOK_AGAIN)

    def _hear(self, raw: msgspec.Raw, _sender: str) -> None:
        if self._leases.recall(_recall.decode(raw).budgets):
            self._wake.set()

    async def _renew_on(self) -> None:
        """Write leases again while there are any: each second, and when little of one is left."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), AGAIN)
            self._wake.clear()
            if self._leases.due():
                self._ask_soon()

    async def _returned(self) -> None:
        """Spend no lease that a database that was away may have lost."""
        self._leases.void()
        self._wake.set()


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    """Raise :class:`Unreachable` in the place of what the database raises."""
    try:
        yield
    except (Away, Error) as error:
        raise Unreachable("the budgets of all replicas cannot be reached") from error
