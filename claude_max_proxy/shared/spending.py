"""Counts in the database what all replicas use: reservations and uses are appended, and summed when asked.

A reservation counts as long as its replica is alive, so one that was killed leaves nothing behind. Uses that
are older than a while are added up by quarters of an hour, which no hour, day or month divides anywhere.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec
from psycopg import Error

from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.errors import Unreachable
from claude_max_proxy.shared.database import Connection, Database
from claude_max_proxy.shared.errors import Away
from claude_max_proxy.shared.replicas import ALIVE, SharedReplicas
from claude_max_proxy.spending import Spending, Spent, Standing


logger = logging.getLogger(__name__)

_MOST_UNSETTLED, _AT_ONCE = 10_000, 200
_GATHERED, _RETRY, _TIMEOUT = 0.05, 1.0, 5.0  # seconds
_CHORES_EVERY = 15.0

_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(budget, 7521951))
FROM (SELECT DISTINCT budget FROM unnest(%s::text[]) AS budget ORDER BY budget) AS sorted
"""
_STANDINGS = """
SELECT place, period, coalesce(sum(tokens), 0)::bigint, coalesce(sum(dollars), 0)::float8, 0::bigint
FROM unnest(%(budgets)s::text[]) WITH ORDINALITY AS asked (budget, place)
CROSS JOIN unnest(%(periods)s::text[], %(since)s::float8[]) AS periods (period, since)
JOIN shared_spent USING (budget)
WHERE made >= clock_timestamp() - make_interval(secs => since) GROUP BY place, period
UNION ALL
SELECT place, floor(extract(epoch FROM clock_timestamp() - made))::text, sum(tokens)::bigint, 0, 0
FROM unnest(%(budgets)s::text[]) WITH ORDINALITY AS asked (budget, place) JOIN shared_spent USING (budget)
WHERE made > clock_timestamp() - interval '60 seconds' AND NOT summed GROUP BY 1, 2
UNION ALL
SELECT place, 'reserved', sum(tokens)::bigint, sum(dollars)::float8, count(*)
FROM unnest(%(budgets)s::text[]) WITH ORDINALITY AS asked (budget, place)
JOIN shared_reserved USING (budget) JOIN shared_replicas ON shared_replicas.id = replica
WHERE seen > clock_timestamp() - make_interval(secs => %(alive)s) GROUP BY place
"""
_RESERVE = """
INSERT INTO shared_reserved (replica, id, budget, tokens, dollars)
SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::float8[]) ON CONFLICT DO NOTHING
"""
_RELEASE = "DELETE FROM shared_reserved WHERE id = ANY(%s)"
_SPEND = """
INSERT INTO shared_spent (id, budget, made, tokens, dollars, summed)
SELECT %s, budget, now(), tokens, dollars, false
FROM unnest(%s::text[], %s::bigint[], %s::float8[]) AS each (budget, tokens, dollars) ON CONFLICT DO NOTHING
"""
_SUM_UP = """
WITH old AS (
    DELETE FROM shared_spent WHERE NOT summed AND made < now() - interval '70 seconds' RETURNING *
)
INSERT INTO shared_spent (id, budget, made, tokens, dollars, summed)
SELECT gen_random_uuid()::text, budget, quarter, sum(tokens), sum(dollars), true FROM (
    SELECT *, to_timestamp(floor(extract(epoch FROM made) / 900) * 900 + 450) AS quarter FROM old
) AS placed GROUP BY budget, quarter
"""
_PRUNE = (
    "DELETE FROM shared_spent WHERE made < now() - interval '40 days'",
    "DELETE FROM shared_reserved WHERE replica NOT IN (SELECT id FROM shared_replicas)",
)


class _Settled(msgspec.Struct, frozen=True):
    id: str
    budgets: list[str]
    amount: Spent


class _Asked(msgspec.Struct, frozen=True):
    """One request that waits for its reservation."""

    id: str
    budgets: list[str]
    amount: Spent
    since: Mapping[str, float]
    check: Callable[[list[Standing]], None]
    answer: asyncio.Future[None]


class SharedSpending(Spending):
    """Counts what all replicas use, in one database."""

    def __init__(self, database: Database, replicas: SharedReplicas, replica: str, timeout: float) -> None:
        """Reserve for the replica with this id; wait at most ``timeout`` seconds for that."""
        self._database = database
        self._replicas = replicas
        self._replica = replica
        self._timeout = timeout
        self._unsettled: deque[_Settled] = deque(maxlen=_MOST_UNSETTLED)
        self._batch: tuple[str, list[_Settled]] | None = None
        self._wake = asyncio.Event()
        self._asked: list[_Asked] = []
        self._asking = False
        self._tasks = Tasks()

    @property
    def replicas(self) -> int:
        """How many replicas are alive."""
        return max(self._replicas.count, 1)

    def open(self) -> None:
        """Begin to settle, and to sum up what is old."""
        self._tasks.keep(self._settle_on, "shared-settle")
        self._tasks.keep(self._chores, "shared-sums")

    async def close(self) -> None:
        """Settle what there is, within a short time."""
        await self._tasks.close()
        while self._unsettled or self._batch:
            try:
                await self._settle()
            except (Away, Error):
                return

    async def standings(self, budgets: Sequence[str], since: Mapping[str, float]) -> list[Standing]:
        """Return how budgets stand."""
        try:
            return await self._database.run(lambda one: _standings(one, budgets, since), _TIMEOUT)
        except (Away, Error) as error:
            raise Unreachable("the budgets of all replicas cannot be reached") from error

    async def reserve(
        self,
        id: str,
        budgets: Sequence[str],
        amount: Spent,
        since: Mapping[str, float],
        check: Callable[[list[Standing]], None],
    ) -> None:
        """Hold an amount for a request."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(_Asked(id, list(budgets), amount, since, check, answer))
        if not self._asking:
            self._asking = True
            self._tasks.start(self._ask(), "shared-reserve", lasting=True)
        try:
            async with asyncio.timeout(self._timeout):
                await answer
        except (Away, TimeoutError) as error:
            raise Unreachable("the budgets of all replicas cannot be reached") from error

    async def _ask(self) -> None:
        """Reserve for all requests that wait, in one transaction, until none waits."""
        try:
            while self._asked:
                asked, self._asked = [one for one in self._asked if not one.answer.done()], []
                if asked:
                    await self._reserve(asked)
        finally:
            self._asking = False

    async def _reserve(self, asked: list[_Asked]) -> None:
        budgets = sorted({budget for one in asked for budget in one.budgets})
        refused: dict[str, Exception] = {}

        async def reserve(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(_LOCK, (budgets,))
                found = await _standings(connection, budgets, asked[0].since)
                standings = dict(zip(budgets, found, strict=True))
                rows = [row for one in asked for row in _checked(one, standings, refused)]
                columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
                await connection.execute(_RESERVE, (self._replica, *columns))

        problem: Exception | None = None
        try:
            await self._database.run(reserve, self._timeout)
        except (Away, Error) as error:
            problem = Away(type(error).__name__)
        for one in asked:
            if one.answer.done():
                self.settle(one.id, (), Spent())  # nobody waits any more, so nothing is held
            elif (failure := problem or refused.get(one.id)) is not None:
                one.answer.set_exception(failure)
            else:
                one.answer.set_result(None)

    def settle(self, id: str, budgets: Sequence[str], amount: Spent) -> None:
        """Replace soon what is held for a request by what it has used."""
        self._unsettled.append(_Settled(id, list(budgets), amount))
        self._wake.set()

    async def _settle_on(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._unsettled or self._batch:
                    await self._settle()
            except (Away, Error) as error:
                logger.debug("nothing is settled now: %s", type(error).__name__)
                self._wake.set()
                await asyncio.sleep(_RETRY)
            await asyncio.sleep(_GATHERED)

    async def _settle(self) -> None:
        """Write some of what is settled, one row a budget; what fails is written again and counts once."""
        if self._batch is None:
            count = min(len(self._unsettled), _AT_ONCE)
            self._batch = (uuid.uuid4().hex, [self._unsettled.popleft() for _ in range(count)])
        id_, settled = self._batch
        sums: dict[str, tuple[int, float]] = {}
        for one in settled:
            for budget in set(one.budgets):
                tokens, dollars = sums.get(budget, (0, 0.0))
                sums[budget] = (tokens + one.amount.tokens, dollars + one.amount.dollars)
        spent = (id_, list(sums), [one[0] for one in sums.values()], [one[1] for one in sums.values()])
        released = [one.id for one in settled]

        async def write(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(_SPEND, spent)
                await connection.execute(_RELEASE, (released,))

        await self._database.run(write, _TIMEOUT)
        self._batch = None

    async def _chores(self) -> None:
        async def sum_up(connection: Connection) -> None:
            for statement in (_SUM_UP, *_PRUNE):
                await connection.execute(statement)

        while True:
            try:
                await self._database.run(sum_up, _TIMEOUT)
            except (Away, Error) as error:
                logger.debug("nothing is summed up now: %s", type(error).__name__)
            await asyncio.sleep(_CHORES_EVERY)


async def _standings(
    connection: Connection, budgets: Sequence[str], since: Mapping[str, float]
) -> list[Standing]:
    values = {
        "budgets": list(budgets),
        "periods": list(since),
        "since": list(since.values()),
        "alive": ALIVE,
    }
    found = [Standing(dict.fromkeys(since, Spent()), {}) for _ in budgets]
    for place, what, tokens, dollars, count in await (
        await connection.execute(_STANDINGS, values)
    ).fetchall():
        one = found[int(place) - 1]
        if what == "reserved":
            one.reserved, one.running = Spent(int(tokens), float(dollars)), int(count)
        elif what in since:
            one.used[what] = Spent(int(tokens), float(dollars))
        else:
            one.seconds[max(int(what), 0)] = int(tokens)
    return found


def _checked(
    one: _Asked, standings: dict[str, Standing], refused: dict[str, Exception]
) -> list[tuple[str, str, int, float]]:
    """Return the rows to reserve for a request, and count them; or note why it is refused."""
    try:
        one.check([standings[budget] for budget in one.budgets])
    except Exception as error:  # whoever asked gets it
        refused[one.id] = error
        return []
    for budget in set(one.budgets):
        held = standings[budget].reserved
        standings[budget].reserved = Spent(held.tokens + one.amount.tokens, held.dollars + one.amount.dollars)
        standings[budget].running += 1
    return [(one.id, budget, one.amount.tokens, one.amount.dollars) for budget in set(one.budgets)]
