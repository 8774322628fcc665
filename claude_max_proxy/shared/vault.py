"""The vault of all replicas, in the database: sealed, bounded for each owner, and pruned by age."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from psycopg import Error

from claude_max_proxy.concurrency import threads
from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.config import SharedConfig
from claude_max_proxy.errors import Unreachable
from claude_max_proxy.shared.database import Connection, Database
from claude_max_proxy.shared.errors import Away
from claude_max_proxy.shared.sealing import Sealing
from claude_max_proxy.vault import Kept, Vault


T = TypeVar("T")
logger = logging.getLogger(__name__)

_TIMEOUT = 5.0  # seconds
_LARGE = 256 * 1024  # bytes, from which sealing happens on a thread
_MOST_NAMES = 10_000
_PRUNE_EVERY, _PRUNED_AT_ONCE = 60.0, 500
_MOST_WAITING, _MOST_WAITING_BYTES = 1000, 64_000_000  # what is kept here while the database is away

_PUT = """
INSERT INTO shared_vault (owner, id, sealed, names, made) VALUES (%s, %s, %s, %s, now())
ON CONFLICT DO NOTHING
"""
_BOUND = """
DELETE FROM shared_vault WHERE owner = %(owner)s AND id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER newest AS place, sum(octet_length(sealed)) OVER newest AS total
        FROM shared_vault WHERE owner = %(owner)s WINDOW newest AS (ORDER BY made DESC, id)
    ) AS counted WHERE place > %(most)s OR total > %(most_bytes)s
)
"""
_GET = "SELECT sealed FROM shared_vault WHERE owner = ANY(%s) AND id = %s"
_FIND = """
SELECT DISTINCT found.id, found.sealed FROM unnest(%s::bigint[]) AS name CROSS JOIN LATERAL (
    SELECT id, sealed FROM shared_vault
    WHERE owner = ANY(%s) AND names @> ARRAY[name] ORDER BY made DESC, id LIMIT 1
) AS found
"""
_DELETE = "DELETE FROM shared_vault WHERE owner = ANY(%s) AND id = %s"
_PRUNE = """
DELETE FROM shared_vault WHERE (owner, id) IN (
    SELECT owner, id FROM shared_vault WHERE made < now() - make_interval(secs => %s) LIMIT %s
)
"""


class _Row(msgspec.Struct, frozen=True):
    owner: bytes
    id: str
    sealed: bytes
    names: list[int]


class SharedVault(Vault):
    """The things of all dialects; :meth:`of` returns the vault of one of them."""

    def __init__(self, database: Database, sealing: Sealing, config: SharedConfig, space: str = "") -> None:
        """Keep things of ``space`` within the bounds of the configuration."""
        self._database = database
        self._sealing = sealing
        self._config = config
        self._space = space
        self._waiting: OrderedDict[tuple[str, str], _Row] = OrderedDict()
        self._waiting_bytes = 0
        self._tasks = Tasks()
        self._spaces: dict[str, SharedVault] = {}
        database.on_return.append(self._hand_over)

    def of(self, space: str) -> SharedVault:
        """Return the vault of one dialect, which finds nothing of others."""
        if space not in self._spaces:
            self._spaces[space] = SharedVault(self._database, self._sealing, self._config, space)
        return self._spaces[space]

    def open(self) -> None:
        """Begin to prune, in the background."""
        self._tasks.keep(self._prune_on, "shared-prune")

    async def close(self) -> None:
        """Prune no longer."""
        await self._tasks.close()

    async def put(self, thing: Kept) -> None:
        """Keep a thing."""
        if len(thing.content) > self._config.response_bytes:
            return

        owner = self._owner(thing.owner)
        sealed = await self._aside(
            partial(self._sealing.seal, thing.content, owner, thing.id), len(thing.content)
        )
        names = self._sealing.names(owner, list(thing.names)[-_MOST_NAMES:])
        row = _Row(self._sealing.owner(owner), thing.id, sealed, names)
        try:
            await self._write(row)
        except Away as error:
            self._set_aside(owner, row)
            logger.debug("a thing waits until the database is back: %s", error)

    async def get(self, owner: str, id_: str) -> bytes | None:
        """Return the content of a thing."""
        owner = self._owner(owner)
        waiting = self._waiting.get((owner, id_))
        if waiting is not None:
            return self._sealing.open(waiting.sealed, owner, id_)

        rows = await self._rows(_GET, (self._sealing.owners(owner), id_))
        for (sealed,) in rows:
            return await self._aside(partial(self._sealing.open, sealed, owner, id_), len(sealed))
        return None

    async def find(self, owner: str, names: Sequence[str]) -> list[bytes]:
        """Return the things that have these names."""
        owner = self._owner(owner)
        numbers = [number for name in names for number in self._sealing.all_names(owner, name)]
        found = {
            row.id: row.sealed
            for (whose, _), row in self._waiting.items()
            if whose == owner and set(numbers) & set(row.names)
        }
        try:
            rows = await self._rows(_FIND, (numbers, self._sealing.owners(owner)))
        except Unreachable:
            if not found:
                raise
            rows = []
        found = {**{str(id_): sealed for id_, sealed in rows}, **found}
        opened = [self._sealing.open(sealed, owner, id_) for id_, sealed in found.items()]
        return [content for content in opened if content is not None]

    async def delete(self, owner: str, id_: str) -> bool:
        """Delete a thing."""
        owner = self._owner(owner)
        if (owner, id_) in self._waiting:
            self._waiting_bytes -= len(self._waiting.pop((owner, id_)).sealed)
            return True

        async def delete(connection: Connection) -> int:
            return (await connection.execute(_DELETE, (self._sealing.owners(owner), id_))).rowcount

        return await self._asked(delete) > 0

    # --- rows

    def _owner(self, owner: str) -> str:
        return f"{self._space} {owner}"

    async def _aside(self, work: Callable[[], T], size: int) -> T:
        return await threads.run(work, "shared-seal") if size > _LARGE else work()

    async def _write(self, row: _Row) -> None:
        bounds = {
            "owner": row.owner,
            "most": self._config.responses_per_key,
            "most_bytes": self._config.response_bytes_per_key,
        }

        async def write(connection: Connection) -> None:
            await connection.execute(_PUT, (row.owner, row.id, row.sealed, row.names))
            await connection.execute(_BOUND, bounds)

        try:
            await self._database.run(write, _TIMEOUT)
        except Error as error:
            raise Away(type(error).__name__) from None

    async def _rows(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        async def ask(connection: Connection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(statement, values)).fetchall()

        return await self._asked(ask)

    async def _asked(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            return await self._database.run(work, _TIMEOUT)
        except (Away, Error) as error:
            raise Unreachable(
                "what was stored cannot be reached at the moment; try again, or send the whole conversation"
            ) from error

    # --- while the database is away

    def _set_aside(self, owner: str, row: _Row) -> None:
        """Keep a row here, and forget the oldest ones if there are too many."""
        self._waiting[owner, row.id] = row
        self._waiting_bytes += len(row.sealed)
        while len(self._waiting) > _MOST_WAITING or self._waiting_bytes > _MOST_WAITING_BYTES:
            _, gone = self._waiting.popitem(last=False)
            self._waiting_bytes -= len(gone.sealed)

    async def _hand_over(self) -> None:
        """Write what was kept here, now that the database is back; what cannot be written goes on waiting."""
        for key, row in list(self._waiting.items()):
            try:
                await self._write(row)
            except Away:
                return
            if self._waiting.pop(key, None) is not None:
                self._waiting_bytes -= len(row.sealed)

    async def _prune_on(self) -> None:
        """Delete what is too old, a little at a time."""
        values = (self._config.keep_responses, _PRUNED_AT_ONCE)

        async def prune(connection: Connection) -> int:
            return (await connection.execute(_PRUNE, values)).rowcount

        while True:
            try:
                if await self._database.run(prune, _TIMEOUT) == _PRUNED_AT_ONCE:
                    continue
            except (Away, Error) as error:
                logger.debug("nothing is pruned now: %s", type(error).__name__)
            await asyncio.sleep(_PRUNE_EVERY)
