"""Requests a minute, counted for all replicas in the database, exactly and without a row that all update.

Every replica appends what it admits, and a minute is summed. While the database is away or slow, each replica
admits its share of the limit.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection

from psycopg import Error

from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.rate_limits import WINDOW, RateLimits, Rates
from claude_max_proxy.shared.database import Connection, Database
from claude_max_proxy.shared.errors import Away


logger = logging.getLogger(__name__)

_PRUNE_EVERY = 30.0  # seconds
_MOST_UNRECORDED = 10_000
_TIMEOUT = 5.0

_ADMIT = "SELECT admitted, wait FROM shared_admit(%s, %s, %s)"
_RECORD = """
INSERT INTO shared_admissions (bucket, made, amount) VALUES (%s, now() - make_interval(secs => %s), 1)
"""
_PRUNE = "DELETE FROM shared_admissions WHERE made < now() - make_interval(secs => %s)"


class SharedRates(Rates):
    """Counts the requests of all replicas by name.

    Requests of one name that arrive while the database is asked about it are asked about together.
    """

    def __init__(self, database: Database, replicas: Callable[[], int], timeout: float) -> None:
        """Wait at most ``timeout`` seconds for the database; ``replicas`` returns how many are alive."""
        self._database = database
        self._replicas = replicas
        self._timeout = timeout
        self._here = RateLimits()
        self._waiting: dict[str, list[asyncio.Future[int]]] = defaultdict(list)
        self._asking: set[str] = set()
        self._unrecorded: deque[tuple[str, float]] = deque(maxlen=_MOST_UNRECORDED)
        self._tasks = Tasks()
        database.on_return.append(self._record)

    def open(self) -> None:
        """Begin to prune, in the background."""
        self._tasks.keep(self._prune_on, "shared-rates")

    async def close(self) -> None:
        """Ask nothing more."""
        await self._tasks.close()

    def keep_only(self, names: Collection[str]) -> None:
        """Forget nothing: other replicas may still count it, and a minute is soon over."""

    async def admit(self, name: str, per_minute: int) -> int:
        """Count a request of ``name`` and return 0, or return after how many whole seconds to try again."""
        if self._database.status != "ok":
            return self._alone(name, per_minute)

        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[name].append(answer)
        if name not in self._asking:
            self._asking.add(name)
            self._tasks.start(self._ask(name, per_minute), "shared-rate", lasting=True)
        try:
            async with asyncio.timeout(self._timeout):
                wait = await answer
        except (Away, TimeoutError):
            return self._alone(name, per_minute)
        if not wait:
            self._here.note(name)
        return wait

    def _alone(self, name: str, per_minute: int) -> int:
        """Admit a request within this replica's share of the limit."""
        wait = self._here.take(name, max(per_minute // max(self._replicas(), 1), 1))
        if not wait:
            self._unrecorded.append((name, time.monotonic()))
        return wait

    async def _ask(self, name: str, per_minute: int) -> None:
        """Ask the database about all requests of a name that wait, until none does."""
        try:
            while asked := self._waiting.pop(name, []):
                await self._answer(name, per_minute, [one for one in asked if not one.done()])
        finally:
            self._asking.discard(name)
            for one in self._waiting.pop(name, []):
                one.cancel()

    async def _answer(self, name: str, per_minute: int, asked: list[asyncio.Future[int]]) -> None:
        async def admit(connection: Connection) -> tuple[int, float]:
            row = await (await connection.execute(_ADMIT, (name, len(asked), per_minute))).fetchone()
            return (int(row[0]), float(row[1])) if row else (0, 1.0)

        try:
            admitted, wait = await self._database.run(admit, self._timeout)
        except (Away, Error) as error:
            for one in asked:
                if not one.done():
                    one.set_exception(Away(type(error).__name__))
                    one.exception()  # whoever waited may have gone
            return
        for place, one in enumerate(asked):
            if not one.done():
                one.set_result(0 if place < admitted else max(math.ceil(wait), 1))

    async def _record(self) -> None:
        """Count for all what this replica admitted alone within the last minute."""
        now, rows = time.monotonic(), list(self._unrecorded)
        self._unrecorded.clear()
        values = [(name, now - at) for name, at in rows if now - at < WINDOW]

        async def record(connection: Connection) -> None:
            await connection.cursor().executemany(_RECORD, values)

        if values:
            try:
                await self._database.run(record, _TIMEOUT)
            except (Away, Error) as error:
                logger.debug("what was admitted alone is not counted: %s", type(error).__name__)

    async def _prune_on(self) -> None:
        async def prune(connection: Connection) -> None:
            await connection.execute(_PRUNE, (2 * WINDOW,))

        while True:
            await asyncio.sleep(_PRUNE_EVERY)
            try:
                await self._database.run(prune, _TIMEOUT)
            except (Away, Error) as error:
                logger.debug("no admissions are pruned: %s", type(error).__name__)
