"""Writes what requests have used into the database, added up, and once for all that ended in a moment.

Uses that are older than a while are added up by quarters of an hour, which no hour, day or month divides
anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections import deque
from collections.abc import Iterable

import msgspec
from psycopg import Error

from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.facts.spending import Spent
from claude_max_proxy.shared.database import Connection, Database
from claude_max_proxy.shared.errors import Away


logger = logging.getLogger(__name__)

_MOST_HELD = 10_000
_GATHERED, _GATHERED_LEASED, _RETRY, _TIMEOUT = 0.05, 0.15, 1.0, 5.0  # seconds
_CHORES_EVERY = 15.0

_SETTLE = """
WITH released AS (DELETE FROM shared_reserved WHERE id = ANY(%s))
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
    "DELETE FROM shared_windows WHERE began < now() - interval '40 days'",
    "DELETE FROM shared_reserved WHERE replica NOT IN (SELECT id FROM shared_replicas)",
)


class _Batch(msgspec.Struct, frozen=True):
    """What is written at once; a second try with the same ``id`` changes nothing."""

    id: str
    used: dict[str, Spent]
    released: list[str]


class Settling:
    """Adds up what requests have used of each budget, and writes it soon, with what they hold no longer."""

    def __init__(self, database: Database) -> None:
        """Begin with nothing to write."""
        self._database = database
        self._used: dict[str, Spent] = {}
        self._released: deque[str] = deque(maxlen=_MOST_HELD)
        self._batch: _Batch | None = None
        self._wake = asyncio.Event()
        self._released_one = asyncio.Event()
        self._tasks = Tasks()

    def open(self) -> None:
        """Begin to write, and to sum up what is old."""
        self._tasks.keep(self._settle_on, "shared-settle")
        self._tasks.keep(self._chores, "shared-sums")

    async def close(self) -> None:
        """Write what there is, within a short time."""
        await self._tasks.close()
        while self._used or self._released or self._batch:
            try:
                await self._settle()
            except (Away, Error):
                return

    def add(self, budgets: Iterable[str], amount: Spent) -> None:
        """Write soon what a request has used of each of these budgets."""
        if not amount.tokens and not amount.dollars:
            return
        for budget in budgets:
            known = self._used.get(budget, Spent())
            self._used[budget] = Spent(known.tokens + amount.tokens, known.dollars + amount.dollars)
            self._wake.set()

    def release(self, id_: str) -> None:
        """Remove soon what is reserved in the database for a request."""
        self._released.append(id_)
        self._released_one.set()
        self._wake.set()

    def unwritten(self, budget: str) -> Spent:
        """Return what was used of a budget and is not known to be in the database."""
        new = self._used.get(budget, Spent())
        old = self._batch.used.get(budget, Spent()) if self._batch is not None else Spent()
        return Spent(new.tokens + old.tokens, new.dollars + old.dollars)

    async def _settle_on(self) -> None:
        while True:
            await self._wake.wait()
            if not self._released:  # what was leased is held anyway, so others hardly wait for it
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._released_one.wait(), _GATHERED_LEASED)
            self._wake.clear()
            self._released_one.clear()
            try:
                while self._used or self._released or self._batch:
                    await self._settle()
            except (Away, Error) as error:
                logger.debug("nothing is settled now: %s", type(error).__name__)
                self._wake.set()
                await asyncio.sleep(_RETRY)
            await asyncio.sleep(_GATHERED)

    async def _settle(self) -> None:
        """Write what is settled, one row a budget; what fails is written again and counts once."""
        if self._batch is None:
            self._batch = _Batch(uuid.uuid4().hex, self._used, list(self._released))
            self._used = {}
            self._released.clear()
        batch = self._batch
        used = batch.used.values()
        tokens, dollars = [one.tokens for one in used], [one.dollars for one in used]
        values = (batch.released, batch.id, list(batch.used), tokens, dollars)

        async def write(connection: Connection) -> None:
            await connection.execute(_SETTLE, values)

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
