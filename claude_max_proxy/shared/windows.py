"""Adds up who has used what of a plan's windows, as all replicas have counted it.

Each replica has rows of its own, and so has each ledger for the time before anybody counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from claude_max_proxy.facts.spending import EVERYBODY, WindowUse
from claude_max_proxy.shared.database import Connection, Database


_TIMEOUT = 5.0  # seconds
_JITTER = 120.0  # seconds by which the times of one reset may differ
_LEDGER = "ledger "

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7521952))"
_FIND = """
SELECT id, base, extract(epoch FROM clock_timestamp() - counted)::float8 FROM shared_windows
WHERE name = %(name)s AND began BETWEEN clock_timestamp() - make_interval(secs => %(age)s + %(jitter)s)
    AND clock_timestamp() - make_interval(secs => %(age)s - %(jitter)s)
ORDER BY id LIMIT 1
"""
_BEGIN = """
INSERT INTO shared_windows (name, began, base, counted)
VALUES (%(name)s, clock_timestamp() - make_interval(secs => %(age)s), %(base)s, clock_timestamp())
RETURNING id, base, 0::float8
"""
_COUNT = """
INSERT INTO shared_window_use (window_id, counter, owner, amount)
SELECT %(id)s, %(counter)s, * FROM unnest(%(owners)s::text[], %(amounts)s::float8[])
ON CONFLICT (window_id, counter, owner) DO UPDATE SET amount = excluded.amount
"""
_READ = """
SELECT counter LIKE 'ledger %%', owner, sum(amount)::float8 FROM shared_window_use
WHERE window_id = %(id)s AND counter <> %(counter)s GROUP BY 1, 2
"""


class Windows:
    """The windows in the database, for one replica."""

    def __init__(self, database: Database, replica: str) -> None:
        """Count for the replica with this id."""
        self._database = database
        self._replica = replica

    async def count(self, name: str, age: float, base: float, mine: Mapping[str, float]) -> WindowUse:
        """Say what was counted here, and return what others have counted."""

        async def count(connection: Connection) -> WindowUse:
            async with connection.transaction():
                return await self._count(connection, name, age, base, self._replica, mine)

        return await self._database.run(count, _TIMEOUT)

    async def count_before(
        self, name: str, age: float, base: float, source: str, amounts: Mapping[str, float]
    ) -> None:
        """Say what a ledger has of the time before."""

        async def count(connection: Connection) -> None:
            async with connection.transaction():
                await self._count(connection, name, age, base, f"{_LEDGER}{source}", amounts)

        await self._database.run(count, _TIMEOUT)

    async def _count(
        self,
        connection: Connection,
        name: str,
        age: float,
        base: float,
        counter: str,
        amounts: Mapping[str, float],
    ) -> WindowUse:
        await connection.execute(_LOCK, (name,))
        values = {"name": name, "age": age, "base": base, "jitter": _JITTER}
        row = await (await connection.execute(_FIND, values)).fetchone()
        if row is None:
            row = await (await connection.execute(_BEGIN, values)).fetchone()
        assert row is not None  # it was inserted
        owners = {
            "id": row[0],
            "counter": counter,
            "owners": list(amounts),
            "amounts": [float(one) for one in amounts.values()],
        }
        await connection.execute(_COUNT, owners)
        rows = await (await connection.execute(_READ, owners)).fetchall()
        use = WindowUse(float(row[1]), float(row[2]))
        for is_before, owner, amount in rows:
            if owner == EVERYBODY and is_before:
                use.before += amount
            elif owner == EVERYBODY:
                use.live += amount
            else:
                use.of[owner] = use.of.get(owner, 0.0) + amount
        return use
