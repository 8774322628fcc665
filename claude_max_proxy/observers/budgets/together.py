"""Admits requests by what all replicas have used together, or by this replica's share of the budgets."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from claude_max_proxy import PlanWindow
from claude_max_proxy.errors import Unreachable
from claude_max_proxy.facts.spending import Spending, Spent, Standing
from claude_max_proxy.observers.budgets.account import Account, Cost
from claude_max_proxy.observers.budgets.book import Book, Who, refuse
from claude_max_proxy.observers.budgets.periods import PERIODS, begin


def admit_here(
    book: Book,
    spending: Spending,
    id: str,
    accounts: Sequence[Account],
    estimate: Cost,
    length: int,
    who: Who,
    windows: Sequence[PlanWindow],
) -> bool:
    """Reserve what a request may cost without asking anybody; return whether that was possible.

    Raises what :meth:`Book.check_windows` raises.
    """
    book.check_windows(accounts, who.backend, windows)
    names = [account.owner for account in accounts]
    if not spending.reserve_here(id, names, Spent(estimate.tokens, estimate.dollars)):
        return False
    book.hold(id, accounts, estimate, length)
    return True


async def admit(
    book: Book,
    spending: Spending,
    id: str,
    accounts: Sequence[Account],
    estimate: Cost,
    length: int,
    who: Who,
    windows: Sequence[PlanWindow],
) -> None:
    """Reserve what a request may cost, for all replicas. Raises what :meth:`Book.admit` raises."""
    book.check_windows(accounts, who.backend, windows)
    now = time.time()

    def check(standings: list[Standing]) -> None:
        for account, standing in zip(accounts, standings, strict=True):
            account_of_all = account.as_of(standing, now)
            book.of_all[account.owner] = account_of_all
            refuse(account_of_all, estimate, now)

    names = [account.owner for account in accounts]
    rooms = [partial(_room, account) for account in accounts]
    try:
        await spending.reserve(id, names, Spent(estimate.tokens, estimate.dollars), _since, check, rooms)
    except Unreachable:
        for account in accounts:
            refuse(account.part(spending.replicas), estimate, time.time())
    book.hold(id, accounts, estimate, length)


async def refresh(book: Book, spending: Spending) -> None:
    """Learn how the accounts of all replicas stand, for those who look. Raises :class:`Unreachable`."""
    accounts, now = list(book.accounts.values()), time.time()
    if not accounts:
        return
    standings = await spending.standings([account.owner for account in accounts], _since())
    for account, standing in zip(accounts, standings, strict=True):
        book.of_all[account.owner] = account.as_of(standing, now)


def _room(account: Account, standing: Standing) -> Spent:
    return account.room(standing, time.time())


def _since() -> dict[str, float]:
    now = time.time()
    return {period: now - begin(period, now) for period in PERIODS}
