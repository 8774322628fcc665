"""Counts once, for all replicas, what a ledger knows of the time before a budget was counted here.

A source is one ledger: all replicas may have the same one, or each its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from claude_max_proxy.facts.spending import Spent
from claude_max_proxy.shared.database import Connection, Database


_TIMEOUT = 5.0  # seconds

# Whoever has counted for the longest says until when the ledger counts.
_ANNOUNCE = """
INSERT INTO shared_seeds (budget, source, began, done)
SELECT budget, %(source)s, clock_timestamp() - make_interval(secs => %(age)s), false
FROM unnest(%(budgets)s::text[]) AS asked (budget)
WHERE NOT EXISTS (SELECT FROM shared_seeds WHERE shared_seeds.budget = asked.budget AND source = '')
ON CONFLICT (budget, source) DO UPDATE SET began = least(shared_seeds.began, excluded.began)
WHERE NOT shared_seeds.done
RETURNING budget, extract(epoch FROM clock_timestamp() - began)::float8
"""
_SEED = """
WITH seeded AS (
    UPDATE shared_seeds SET done = true WHERE budget = %(budget)s AND source = %(source)s AND NOT done
    RETURNING budget
)
INSERT INTO shared_spent (id, budget, made, tokens, dollars, summed)
SELECT gen_random_uuid()::text, budget, clock_timestamp() - make_interval(secs => age), tokens, dollars, true
FROM seeded CROSS JOIN unnest(%(ages)s::float8[], %(tokens)s::bigint[], %(dollars)s::float8[])
    AS amounts (age, tokens, dollars)
"""


class Seeds:
    """What is known of ledgers in the database."""

    def __init__(self, database: Database) -> None:
        """Use this database."""
        self._database = database

    async def unseeded(self, budgets: Sequence[str], source: str, age: float) -> dict[str, float]:
        """Return how many seconds ago the count of each budget began that lacks what the source has."""
        values = {"budgets": sorted(set(budgets)), "source": source, "age": age}

        async def announce(connection: Connection) -> dict[str, float]:
            found = await (await connection.execute(_ANNOUNCE, values)).fetchall()
            return {str(budget): float(seconds) for budget, seconds in found}

        return await self._database.run(announce, _TIMEOUT)

    async def seed(self, budget: str, source: str, amounts: Sequence[tuple[float, Spent]]) -> None:
        """Count amounts that were used so many seconds ago, unless a replica has done so."""
        values = {
            "budget": budget,
            "source": source,
            "ages": [age for age, _ in amounts],
            "tokens": [amount.tokens for _, amount in amounts],
            "dollars": [float(amount.dollars) for _, amount in amounts],
        }

        async def seed(connection: Connection) -> None:
            await connection.execute(_SEED, values)

        await self._database.run(seed, _TIMEOUT)
