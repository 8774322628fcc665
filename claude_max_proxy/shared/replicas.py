"""Which replicas are alive: each says so every two seconds, in a row of its own.

All times are the database's, so that clocks that differ do no harm.
"""

from __future__ import annotations

import asyncio
import logging

from psycopg import Error

from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.shared.database import Connection, Database
from claude_max_proxy.shared.errors import Away


logger = logging.getLogger(__name__)

_EVERY = 2.0  # seconds between two heartbeats
ALIVE = 10  # seconds after its last heartbeat in which a replica is thought to be alive
_FORGOTTEN = 3600  # seconds after which its row is deleted
_TIMEOUT = 2.0

_BEAT = """
INSERT INTO shared_replicas (id, name, version, since, seen) VALUES (%s, %s, %s, now(), now())
ON CONFLICT (id) DO UPDATE SET seen = now(), name = excluded.name
"""
_COUNT = "SELECT count(*) FROM shared_replicas WHERE seen > now() - make_interval(secs => %s)"
_PRUNE = "DELETE FROM shared_replicas WHERE seen < now() - make_interval(secs => %s)"
_LEAVE = "DELETE FROM shared_replicas WHERE id = %s"


class Replicas:
    """Says that this replica is alive, and knows how many are.

    ``count`` is their number, with this one, as it was last known. If the database was never reached, it is
    1.
    """

    def __init__(self, database: Database, id_: str, name: str, version: str) -> None:
        """Speak for the replica with this id, name and version."""
        self._database = database
        self._row = (id_, name, version)
        self._tasks = Tasks()
        self.count = 1
        database.on_return.append(self.beat)

    def open(self) -> None:
        """Begin to say that this replica is alive."""
        self._tasks.keep(self._beat_on, "shared-heartbeat")

    async def close(self) -> None:
        """Say that this replica has left."""
        await self._tasks.close()

        async def leave(connection: Connection) -> None:
            await connection.execute(_LEAVE, self._row[:1])

        try:
            await self._database.run(leave, _TIMEOUT)
        except (Away, Error):
            logger.debug("the other replicas find out by themselves that this one has left")

    async def beat(self) -> None:
        """Say once that this replica is alive, and count those that are."""

        async def beat(connection: Connection) -> int:
            await connection.execute(_BEAT, self._row)
            await connection.execute(_PRUNE, (_FORGOTTEN,))
            found = await (await connection.execute(_COUNT, (ALIVE,))).fetchone()
            return int(found[0]) if found else 1

        try:
            self.count = max(await self._database.run(beat, _TIMEOUT), 1)
        except (Away, Error) as error:
            logger.debug("no heartbeat: %s", type(error).__name__)

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self.beat()
