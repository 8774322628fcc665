"""The connections to the database that replicas share: a small pool, deadlines, and a look-out.

While the database is away, nobody waits for it: every call fails at once, and one task looks whether it is
back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Literal, TypeVar

import sqlalchemy
from psycopg import AsyncConnection, OperationalError
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from sqlalchemy.pool import NullPool

from claude_max_proxy.concurrency import threads
from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.config.secret import Secret
from claude_max_proxy.databases.urls import why
from claude_max_proxy.shared.errors import Away
from claude_max_proxy.shared.migrations import MIGRATIONS


T = TypeVar("T")
Connection = AsyncConnection[TupleRow]
Status = Literal["starting", "ok", "degraded"]
logger = logging.getLogger(__name__)

_CONNECTIONS = 4
_CONNECT_TIMEOUT, _LOOK_TIMEOUT, _MIGRATE_TIMEOUT = 5, 3.0, 60.0  # seconds
_LOOK_EVERY = 2.0
_FIRST_RETRY, _LAST_RETRY = 0.25, 5.0
_STATEMENT_TIMEOUT = 10  # seconds, after which the server itself gives up
_MOST_MISSED = 3  # deadlines in a row
_OPTIONS: dict[str, Any] = {
    "application_name": "claude-max-proxy",
    "connect_timeout": _CONNECT_TIMEOUT,
    "options": f"-c statement_timeout={_STATEMENT_TIMEOUT}s -c lock_timeout=5s",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}
# The pool's own log lines may have a user's name in them; we say what is wrong ourselves.
logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


class Database:
    """One database, whose tables are up to date once :attr:`status` is "ok".

    ``problem`` says why it cannot be used; it is empty if it can. ``on_return`` are called, one after the
    other, whenever the database can be used again.
    """

    def __init__(self, url: Secret) -> None:
        """Remember where it is; :meth:`open` connects."""
        self._url = url
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._tasks = Tasks()
        self._migrated = False
        self._missed = 0
        self._well = asyncio.Event()
        self._look = asyncio.Event()
        self.status: Status = "starting"
        self.problem = ""
        self.on_return: list[Callable[[], Awaitable[None]]] = []

    async def open(self, within: float) -> None:
        """Connect in the background, and wait for that at most ``within`` seconds."""
        self._tasks.keep(self._look_after, "shared-database")
        await self.wait(within)

    async def wait(self, within: float) -> bool:
        """Wait at most ``within`` seconds until the database can be used; return whether it can."""
        try:
            await asyncio.wait_for(self._well.wait(), within)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._tasks.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close(timeout=_LOOK_TIMEOUT)

    async def connect(self) -> Connection:
        """Return a connection of its own, outside of the pool, for the caller to close.

        Raises :class:`Away` if the database cannot be reached.
        """
        connecting = AsyncConnection.connect(self._url.reveal(), autocommit=True, **_OPTIONS)
        try:
            return await asyncio.wait_for(connecting, _CONNECT_TIMEOUT)
        except (OperationalError, OSError, TimeoutError) as error:
            raise Away(self._why(error)) from None

    async def run(self, work: Callable[[Connection], Awaitable[T]], within: float) -> T:
        """Return what ``work`` does with a connection, which commits each statement by itself.

        Raises :class:`Away` if the database is away, or if this takes longer than ``within`` seconds, in
        which case it may have been done all the same. What is wrong with the statements is raised as it is.
        """
        if self.status != "ok":
            raise Away(self.problem or "the database is not connected yet")
        try:
            found = await self._do(work, within)
        except (TimeoutError, PoolTimeout):
            self._missed += 1
            reason = f"it did not answer within {within:g} s"
            if self._missed >= _MOST_MISSED:
                self._fail(reason)
            raise Away(reason) from None
        except (OperationalError, OSError) as error:
            self._fail(self._why(error))
            raise Away(self.problem) from None
        self._missed = 0
        return found

    async def _do(self, work: Callable[[Connection], Awaitable[T]], within: float) -> T:
        """Do the work in a task that nobody waits for beyond its deadline, however it takes its end."""
        pool = self._pool
        if pool is None:
            raise OSError("it is closed")

        async def connected() -> T:
            async with pool.connection(timeout=within) as connection:
                return await work(connection)

        task = self._tasks.start(_outcome(connected()), "shared-query")
        try:
            done, _ = await asyncio.wait({task}, timeout=within)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            raise TimeoutError
        value, error = task.result()
        if error is not None:
            raise error
        found: T = value
        return found

    # --- the look-out

    async def _look_after(self) -> None:
        """Look whether the database can be used, and look again sooner while it cannot."""
        pause = _FIRST_RETRY
        while True:
            try:
                await self._try()
            except Exception as error:  # whatever is wrong with the database, the proxy goes on
                self._fail(self._why(error))
            if self.status == "ok":
                pause, wait = _FIRST_RETRY, _LOOK_EVERY
            else:
                pause, wait = min(2 * pause, _LAST_RETRY), pause
            self._look.clear()
            try:
                await asyncio.wait_for(self._look.wait(), wait)
            except TimeoutError:
                continue
            await asyncio.sleep(_FIRST_RETRY)

    async def _try(self) -> None:
        if not self._migrated:
            migrating = threads.run(partial(_migrate, self._url.reveal()), "shared-migrate")
            await asyncio.wait_for(migrating, _MIGRATE_TIMEOUT)
            self._migrated = True
        if self._pool is None:
            pool = AsyncConnectionPool(
                self._url.reveal(),
                kwargs={"autocommit": True, **_OPTIONS},
                min_size=1,
                max_size=_CONNECTIONS,
                open=False,
                reconnect_timeout=_LAST_RETRY,
                check=_check,
                connection_class=AsyncConnection[TupleRow],
            )
            await pool.open(wait=False)
            self._pool = pool
        if self.status != "ok":
            await self._pool.check()
        await self._do(_ping, _LOOK_TIMEOUT)
        self._missed = 0
        if self.status != "ok":
            await self._returned()

    async def _returned(self) -> None:
        if self.status == "degraded":
            logger.warning("the database that replicas share can be used again")
        self.status, self.problem = "ok", ""
        self._well.set()
        for tell in self.on_return:
            await tell()

    def _fail(self, reason: str) -> None:
        if self.status != "degraded":
            logger.warning(
                "the database that replicas share is away, so this replica goes on alone: %s", reason
            )
        self.status, self.problem = "degraded", reason
        self._well.clear()
        self._look.set()

    def _why(self, error: BaseException) -> str:
        if isinstance(error, TimeoutError) and not str(error):
            return "it does not answer"
        return why(error, self._url.reveal())


async def _outcome(work: Awaitable[T]) -> tuple[T | None, Exception | None]:
    """Return a value or an error, so that an error nobody waits for any more is no task's failure."""
    try:
        return await work, None
    except Exception as error:
        return None, error


async def _check(connection: Connection) -> None:
    """Refuse a connection that the server has closed meanwhile; this asks the server nothing."""
    connection.pgconn.consume_input()


async def _ping(connection: Connection) -> Any:
    return await connection.execute("SELECT 1")


def _migrate(url: str) -> None:
    engine = sqlalchemy.create_engine(
        sqlalchemy.make_url(url).set(drivername="postgresql+psycopg"),
        poolclass=NullPool,
        connect_args=_OPTIONS,
    )
    MIGRATIONS.apply(engine)
