"""Reads how budgets stand: what all replicas have used and hold.

A reservation counts as long as its replica is alive, so one that was killed leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from claude_max_proxy.facts.spending import Spent, Standing
from claude_max_proxy.shared.database import Connection
from claude_max_proxy.shared.replicas import ALIVE


_STANDINGS = """
SELECT place, period, coalesce(sum(tokens), 0)::bigint, coalesce(sum(dollars), 0)::float8,
    0, 0, 0, 0, 0, 0
FROM unnest(%(budgets)s::text[]) WITH ORDINALITY AS asked (budget, place)
CROSS JOIN unnest(%(periods)s::text[], %(since)s::float8[]) AS periods (period, since)
JOIN shared_spent USING (budget)
WHERE made >= clock_timestamp() - make_interval(secs => since) GROUP BY place, period
UNION ALL
SELECT place, floor(extract(epoch FROM clock_timestamp() - made))::text, sum(tokens)::bigint, 0,
    0, 0, 0, 0, 0, 0
FROM unnest(%(budgets)s::text[]) WITH ORDINALITY AS asked (budget, place) JOIN shared_spent USING (budget)
WHERE made > clock_timestamp() - interval '60 seconds' AND NOT summed GROUP BY 1, 2
UNION ALL
SELECT place, 'reserved', sum(tokens)::bigint, sum(dollars)::float8, sum(requests)::bigint,
    sum(spare_tokens)::bigint, sum(spare_dollars)::float8,
    coalesce(sum(tokens) FILTER (WHERE spare_tokens > 0 OR spare_dollars > 0), 0)::bigint,
    coalesce(sum(dollars) FILTER (WHERE spare_tokens > 0 OR spare_dollars > 0), 0)::float8,
    coalesce(sum(requests) FILTER (WHERE spare_tokens > 0 OR spare_dollars > 0), 0)::bigint
FROM unnest(%(budgets)s::text[]) WITH ORDINALITY AS asked (budget, place)
JOIN shared_reserved USING (budget) JOIN shared_replicas ON shared_replicas.id = replica
WHERE seen > clock_timestamp() - make_interval(secs => %(alive)s) GROUP BY place
"""


class Found(msgspec.Struct):
    """How a budget stands.

    ``spare`` is how much of what is reserved is leased and held by no request. ``leased`` and ``leasing`` are
    what those leases have in all, for how many requests; it may be less as soon as they are written again.
    """

    standing: Standing
    spare: Spent = Spent()
    leased: Spent = Spent()
    leasing: int = 0

    @property
    def without_spare(self) -> Standing:
        """How it stands but for what is only leased."""
        return self._without(self.spare, 0)

    @property
    def without_leases(self) -> Standing:
        """How it would stand at best if replicas gave back what they have leased."""
        return self._without(self.leased, self.leasing)

    def _without(self, amount: Spent, running: int) -> Standing:
        held = self.standing.reserved
        left = Spent(held.tokens - amount.tokens, max(held.dollars - amount.dollars, 0.0))
        running = self.standing.running - running
        return msgspec.structs.replace(self.standing, reserved=left, running=running)

    def hold(self, amount: Spent) -> None:
        """Count one more request that holds this amount."""
        held = self.standing.reserved
        self.standing.reserved = Spent(held.tokens + amount.tokens, held.dollars + amount.dollars)
        self.standing.running += 1


async def read(connection: Connection, budgets: Sequence[str], since: Mapping[str, float]) -> list[Found]:
    """Return how budgets stand, in their order."""
    values = {
        "budgets": list(budgets),
        "periods": list(since),
        "since": list(since.values()),
        "alive": ALIVE,
    }
    found = [Found(Standing(dict.fromkeys(since, Spent()), {})) for _ in budgets]
    rows = await (await connection.execute(_STANDINGS, values)).fetchall()
    for place, what, tokens, dollars, running, *spare in rows:
        one = found[int(place) - 1]
        amount = Spent(int(tokens), float(dollars))
        if what == "reserved":
            one.standing.reserved, one.standing.running = amount, int(running)
            one.spare, one.leasing = Spent(int(spare[0]), float(spare[1])), int(spare[4])
            one.leased = Spent(int(spare[2]), float(spare[3]))
        elif what in since:
            one.standing.used[what] = amount
        else:
            one.standing.seconds[max(int(what), 0)] = amount.tokens
    return found
