"""Which replicas are alive: each says so every two seconds, in a row of its own.

All times are the database's, so that clocks that differ do no harm.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from psycopg import Error

from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.facts.replicas import ReplicaFacts, Replicas
from claude_max_proxy.shared.database import Connection, Database
from claude_max_proxy.shared.errors import Away


logger = logging.getLogger(__name__)

ALIVE = 10  # seconds after its last heartbeat in which a replica is thought to be alive
_EVERY = 2.0  # seconds between two heartbeats
_FORGOTTEN = 3600  # seconds after which its row is deleted
_TIMEOUT = 2.0
_MOST_SHOWN = 200

_BEAT = """
INSERT INTO shared_replicas (id, name, version, address, running, processes, since, seen)
VALUES (%s, %s, %s, %s, %s, %s, now(), now())
ON CONFLICT (id) DO UPDATE SET seen = now(), name = excluded.name, address = excluded.address,
    running = excluded.running, processes = excluded.processes
"""
_ALL = """
SELECT id, name, address, version, extract(epoch FROM now() - since)::float8,
    extract(epoch FROM now() - seen)::float8, running, processes
FROM shared_replicas WHERE seen > now() - make_interval(secs => %s) ORDER BY name, id
"""
_PRUNE = "DELETE FROM shared_replicas WHERE seen < now() - make_interval(secs => %s)"
_LEAVE = "DELETE FROM shared_replicas WHERE id = %s"


class SharedReplicas(Replicas):
    """Says that this replica is alive, and knows which are.

    ``count`` is their number, with this one, as it was last known. If the database was never reached, it is
    1. ``measure`` returns how many requests are answered here, and how many processes run for them;
    ``address`` is where this replica listens.
    """

    def __init__(self, database: Database, id_: str, name: str, version: str) -> None:
        """Speak for the replica with this id, name and version."""
        self._database = database
        self._id, self._name, self._version = id_, name, version
        self._tasks = Tasks()
        self._known: list[ReplicaFacts] = []
        self._known_at = self._began = time.monotonic()
        self.count = 1
        self.address = ""
        self.measure: Callable[[], tuple[int, int]] = lambda: (0, 0)
        database.on_return.append(self.beat)

    def open(self) -> None:
        """Begin to say that this replica is alive."""
        self._tasks.keep(self._beat_on, "shared-heartbeat")

    async def close(self) -> None:
        """Say that this replica has left."""
        await self._tasks.close()

        async def leave(connection: Connection) -> None:
            await connection.execute(_LEAVE, (self._id,))

        try:
            await self._database.run(leave, _TIMEOUT)
        except (Away, Error):
            logger.debug("the other replicas find out by themselves that this one has left")

    def facts(self) -> Sequence[ReplicaFacts]:
        """Return every replica that was alive a moment ago; without the database, only this one is known."""
        since = time.monotonic() - self._known_at
        running, processes = self.measure()
        here = ReplicaFacts(
            self._name,
            self.address,
            self._version,
            time.monotonic() - self._began,
            running=running,
            processes=processes,
            here=True,
        )
        others = [
            msgspec.structs.replace(one, age=one.age + since, seen=one.seen + since)
            for one in self._known
            if not one.here and one.seen + since < ALIVE
        ]
        return sorted([here, *others[:_MOST_SHOWN]], key=lambda one: one.name)

    async def beat(self) -> None:
        """Say once that this replica is alive, and look which are."""
        row = (self._id, self._name, self._version, self.address[:300], *self.measure())

        async def beat(connection: Connection) -> list[ReplicaFacts]:
            await connection.execute(_BEAT, row)
            await connection.execute(_PRUNE, (_FORGOTTEN,))
            rows = await (await connection.execute(_ALL, (ALIVE,))).fetchall()
            return [_read(row, self._id) for row in rows]

        try:
            self._known = await self._database.run(beat, _TIMEOUT)
        except (Away, Error) as error:
            logger.debug("no heartbeat: %s", type(error).__name__)
            return
        self._known_at = time.monotonic()
        self.count = max(len(self._known), 1)

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            await self.beat()


def _read(row: tuple[Any, ...], here: str) -> ReplicaFacts:
    id_, name, address, version, age, seen, running, processes = row
    return ReplicaFacts(name, address, version, age, seen, running, processes, id_ == here)
