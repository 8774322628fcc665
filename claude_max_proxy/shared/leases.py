"""The leases of one replica, and what each of its requests holds of them. Without the database."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from claude_max_proxy.facts.spending import Spent
from claude_max_proxy.shared.lease import AGAIN, Lease


_MOST = 1000


class Leases:
    """All leases by budget. ``held`` is what requests hold of them, by the requests' ids."""

    def __init__(self) -> None:
        """Begin without leases."""
        self.of: dict[str, Lease] = {}
        self._held: dict[str, list[tuple[str, Lease, Spent]]] = {}
        self._looked = 0.0

    def take(self, id_: str, budgets: Sequence[str], amount: Spent) -> bool:
        """Hold an amount of each budget, or of none if one has no room; return whether that was done."""
        now, held = time.monotonic(), self._held.get(id_, [])
        known = {budget for budget, _, _ in held}
        found = []
        for budget in budgets:
            if budget in known:
                continue
            lease = self.of.get(budget)
            if lease is None or not lease.fits(amount, now):
                return False
            found.append((budget, lease, amount))
        for _, lease, _ in found:
            lease.take(amount)
        self._held[id_] = [*held, *found]
        return True

    def settle(self, id_: str, budgets: Iterable[str], amount: Spent) -> None:
        """Hold nothing more for a request, and take off what it has used."""
        for _, lease, held in self._held.pop(id_, ()):
            lease.give_back(held)
        for budget in budgets:
            if (leased := self.of.get(budget)) is not None:
                leased.consume(amount)

    def add(self, budget: str, lease: Lease) -> None:
        """Begin with a lease, which has nothing to spend yet, unless there is one."""
        if budget not in self.of and len(self.of) < _MOST:
            self.of[budget] = lease

    def to_write(self, budgets: Iterable[str], now: float) -> list[str]:
        """Return those budgets whose leases have a row, or should have one."""
        return [one for one in budgets if (lease := self.of.get(one)) and (lease.has_row or lease.wants(now))]

    def note(self, budget: str, amount: Spent) -> None:
        """Count a request that asks the database, so that a lease has room for the next one."""
        if (lease := self.of.get(budget)) is not None:
            lease.note(amount)

    def recall(self, budgets: Iterable[str]) -> bool:
        """Lease nothing of these for a moment; return whether there are such leases."""
        found = [lease for budget in budgets if (lease := self.of.get(budget))]
        for lease in found:
            lease.recall(time.monotonic())
        return bool(found)

    def due(self) -> list[str]:
        """Return the budgets whose rows should be written again, and forget leases that nobody needs."""
        now = time.monotonic()
        self.of = {budget: lease for budget, lease in self.of.items() if not lease.is_idle(now)}
        return [budget for budget, lease in self.of.items() if lease.is_due(now)]

    def are_low(self) -> bool:
        """Return whether a row should be written early; this looks only now and then."""
        now = time.monotonic()
        if now - self._looked < AGAIN / 20:
            return False
        self._looked = now
        return any(lease.is_due(now) for lease in self.of.values())

    def void(self) -> None:
        """Spend nothing of any lease until it is written again."""
        for lease in self.of.values():
            lease.invalidate(time.monotonic())
