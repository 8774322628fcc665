"""One transaction that reserves for requests and renews leases; nobody else does so for the same budgets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

import msgspec

from claude_max_proxy.facts.spending import Spent, Standing
from claude_max_proxy.shared.database import Connection
from claude_max_proxy.shared.leases import Leases
from claude_max_proxy.shared.settling import Settling
from claude_max_proxy.shared.standings import Found, read


_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(budget, 7521951))
FROM (SELECT DISTINCT budget FROM unnest(%s::text[]) AS budget ORDER BY budget) AS sorted
"""
_RESERVE = """
INSERT INTO shared_reserved (replica, id, budget, tokens, dollars)
SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::float8[]) ON CONFLICT DO NOTHING
"""
# A replica whose row is old must not lease before the others know again that it is alive.
_WRITE_LEASES = """
WITH alive AS (UPDATE shared_replicas SET seen = clock_timestamp() WHERE id = %(replica)s)
INSERT INTO shared_reserved (replica, id, budget, tokens, dollars, requests, spare_tokens, spare_dollars)
SELECT %(replica)s, %(id)s, *
FROM unnest(%(budgets)s::text[], %(tokens)s::bigint[], %(dollars)s::float8[], %(running)s::integer[],
    %(spare_tokens)s::bigint[], %(spare_dollars)s::float8[])
ON CONFLICT (budget, id) DO UPDATE SET tokens = excluded.tokens, dollars = excluded.dollars,
    requests = excluded.requests, spare_tokens = excluded.spare_tokens, spare_dollars = excluded.spare_dollars
"""
_GROW = """
UPDATE shared_reserved AS held SET
    tokens = held.tokens + more.tokens, spare_tokens = spare_tokens + more.tokens,
    dollars = held.dollars + more.dollars, spare_dollars = spare_dollars + more.dollars,
    requests = greatest(requests, 1)
FROM unnest(%(budgets)s::text[], %(tokens)s::bigint[], %(dollars)s::float8[])
    AS more (budget, tokens, dollars)
WHERE held.id = %(id)s AND held.budget = more.budget
    AND EXISTS (SELECT FROM shared_replicas WHERE shared_replicas.id = %(replica)s)
RETURNING held.budget
"""
_GIVE_BACK = "DELETE FROM shared_reserved WHERE id = %s AND budget = ANY(%s)"


class Asked(msgspec.Struct, frozen=True):
    """One request that waits for its reservation; for what others have leased it waits ``until`` then."""

    id: str
    budgets: list[str]
    amount: Spent
    since: Callable[[], Mapping[str, float]]
    check: Callable[[list[Standing]], None]
    answer: asyncio.Future[None]
    until: float


class Reserving:
    """Reserves in the database for one replica.

    ``wait_for_others`` are the requests of the last :meth:`reserve` that would have room if other replicas
    gave back what they have leased.
    """

    def __init__(self, replica: str, leases: Leases, settling: Settling, replicas: Callable[[], int]) -> None:
        """Reserve for the replica with this id.

        ``replicas`` returns how many are alive, or 0 while nothing may be leased.
        """
        self._replica, self._lease_id = replica, f"lease-{replica}"
        self._leases = leases
        self._settling = settling
        self._replicas = replicas
        self._rows: set[str] = set()
        self.wait_for_others: set[str] = set()

    def forget(self, id_: str) -> bool:
        """Return whether there may be a reservation of a request in the database; say so only once."""
        if id_ not in self._rows:
            return False
        self._rows.discard(id_)
        return True

    async def reserve(
        self, connection: Connection, asked: list[Asked], due: list[str]
    ) -> dict[str, Exception]:
        """Reserve for those who ask, and renew the leases that are due; return who is refused, and why."""
        self.wait_for_others = set()
        budgets = sorted({*due, *(budget for one in asked for budget in one.budgets)})
        began = time.monotonic()
        leased = self._leases.to_write(budgets, began)
        if not asked and not leased:
            return {}
        since = (asked[0].since if asked else self._leases.of[leased[0]].since)()
        new = {one.id for one in asked} - self._rows
        self._rows |= new
        async with connection.transaction():
            await connection.execute(_LOCK, (budgets,))
            if leased:
                await connection.execute(_WRITE_LEASES, self._shrunk(leased))
            standings = dict(zip(budgets, await read(connection, budgets, since), strict=True))
            refused: dict[str, Exception] = {}
            rows = [row for one in asked for row in self._checked(one, standings, refused)]
            if rows:
                columns = [list(column) for column in zip(*rows, strict=True)]
                await connection.execute(_RESERVE, (self._replica, *columns))
            more = self._grown(leased, standings, began)
            await self._write(connection, leased, more)
        self._apply(leased, more, began)
        self._rows -= new & refused.keys()
        return refused

    def _shrunk(self, leased: list[str]) -> dict[str, object]:
        """Return the rows of leases as they must be in any case."""
        leases = [self._leases.of[budget] for budget in leased]
        held = [
            lease.shrink(self._settling.unwritten(budget), all_of_it=lease.is_recalled)
            for budget, lease in zip(leased, leases, strict=True)
        ]
        return {
            "replica": self._replica,
            "id": self._lease_id,
            "budgets": leased,
            "tokens": [one.tokens for one in held],
            "dollars": [one.dollars for one in held],
            "running": [lease.running for lease in leases],
            "spare_tokens": [lease.spare.tokens for lease in leases],
            "spare_dollars": [lease.spare.dollars for lease in leases],
        }

    def _checked(
        self, one: Asked, standings: dict[str, Found], refused: dict[str, Exception]
    ) -> list[tuple[str, str, int, float]]:
        """Return the rows to reserve for a request, and count them; or note why it is refused."""
        found = [standings[budget] for budget in one.budgets]
        try:
            one.check([each.standing for each in found])
        except Exception as error:  # whoever asked gets it
            refused[one.id] = error
            if any(each.leased != Spent() for each in found) and time.monotonic() < one.until:
                with contextlib.suppress(Exception):  # if it is refused even then, waiting does not help
                    one.check([each.without_leases for each in found])
                    self.wait_for_others.add(one.id)
            return []
        budgets = set(one.budgets)
        for budget in budgets:
            standings[budget].hold(one.amount)
        return [(one.id, budget, one.amount.tokens, one.amount.dollars) for budget in budgets]

    def _grown(self, leased: list[str], standings: dict[str, Found], began: float) -> dict[str, Spent]:
        """Return how much is added to each lease."""
        more = {}
        for budget in leased:
            lease = self._leases.of[budget]
            room = lease.room(standings[budget].standing) if self._replicas() else Spent()
            more[budget] = lease.grow(room, max(self._replicas(), 1), began)
        return more

    async def _write(self, connection: Connection, leased: list[str], more: dict[str, Spent]) -> None:
        """Add to the rows of leases, and delete those that nobody needs."""
        grown = {budget: amount for budget, amount in more.items() if amount != Spent()}
        over = [budget for budget in leased if budget not in grown and self._leases.of[budget].is_over]
        if grown:
            values = {
                "replica": self._replica,
                "id": self._lease_id,
                "budgets": list(grown),
                "tokens": [one.tokens for one in grown.values()],
                "dollars": [one.dollars for one in grown.values()],
            }
            rows = await (await connection.execute(_GROW, values)).fetchall()
            for budget in set(grown) - {str(row[0]) for row in rows}:
                more[budget] = Spent()
        if over:
            await connection.execute(_GIVE_BACK, (self._lease_id, over))

    def _apply(self, leased: list[str], more: dict[str, Spent], began: float) -> None:
        for budget in leased:
            lease = self._leases.of[budget]
            lease.written(more[budget], began)
            if more[budget] == Spent() and lease.is_over:
                del self._leases.of[budget]
