"""Counts in the database what all replicas use: reservations and uses are appended, and summed when asked.

A reservation counts as long as its replica is alive, so one that was killed leaves nothing behind. Uses that
are older than a while are added up by quarters of an hour, which no hour, day or month divides anywhere.
"""

from __future__ import annotations

import asyncio
import logging
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
INSERT INTO shared_reserved (id, budget, replica, tokens, dollars) SELECT %s, budget, %s, %s, %s
FROM (SELECT DISTINCT budget FROM unnest(%s::text[]) AS budget) AS each ON CONFLICT DO NOTHING
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


class SharedSpending(Spending):
    """Counts what all replicas use, in one database."""

    def __init__(self, database: Database, replicas: SharedReplicas, replica: str, timeout: float) -> None:
        """Reserve for the replica with this id; wait at most ``timeout`` seconds for that."""
        self._database = database
        self._replicas = replicas
        self._replica = replica
        self._timeout = timeout
        self._unsettled: deque[_Settled] = deque(maxlen=_MOST_UNSETTLED)
        self._wake = asyncio.Event()
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
        while self._unsettled:
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

        async def reserve(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(_LOCK, (list(budgets),))
                check(await _standings(connection, budgets, since))
                values = (id, self._replica, amount.tokens, amount.dollars, list(budgets))
                await connection.execute(_RESERVE, values)

        try:
            await self._database.run(reserve, self._timeout)
        except (Away, Error) as error:
            raise Unreachable("the budgets of all replicas cannot be reached") from error

    def settle(self, id: str, budgets: Sequence[str], amount: Spent) -> None:
        """Replace soon what is held for a request by what it has used."""
        self._unsettled.append(_Settled(id, list(budgets), amount))
        self._wake.set()

    async def _settle_on(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._unsettled:
                    await self._settle()
            except (Away, Error) as error:
                logger.debug("nothing is settled now: %s", type(error).__name__)
                self._wake.set()
                await asyncio.sleep(_RETRY)
            await asyncio.sleep(_GATHERED)

    async def _settle(self) -> None:
        """Write some of what is settled; doing it twice counts once."""
        batch = [self._unsettled[place] for place in range(min(len(self._unsettled), _AT_ONCE))]

        async def write(connection: Connection) -> None:
            async with connection.transaction(), connection.cursor() as cursor:
                spent = [(one.id, one.amount.tokens, one.amount.dollars, one.budgets) for one in batch]
                await cursor.executemany(_SPEND, spent)
                await cursor.executemany(_RELEASE, [(one.id,) for one in batch])

        await self._database.run(write, _TIMEOUT)
        for one in batch:
            if self._unsettled and self._unsettled[0] is one:
                self._unsettled.popleft()

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
