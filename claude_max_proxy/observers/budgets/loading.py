"""Reads from the ledger what was used before this process counted, so that budgets survive a restart."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable

from claude_max_proxy import Context
from claude_max_proxy.formats import matches
from claude_max_proxy.ledger import By, Ledger, Unavailable, Usage, Where
from claude_max_proxy.observers.budgets.account import Cost
from claude_max_proxy.observers.budgets.book import Book, Kind
from claude_max_proxy.observers.budgets.periods import begin
from claude_max_proxy.observers.budgets.shares import weight


logger = logging.getLogger(__name__)

_OFFERED_WITHIN = 5.0  # seconds, in which the plugin that has the ledger offers it
AGAIN_AFTER = 30.0
TRIES = 20
Places = Collection[tuple[Kind, str]]


async def load(book: Book, context: Context, places: Places, until: float) -> None:
    """Add to the accounts at ``places`` what requests that began before ``until`` have used."""
    ledger = await find_ledger(context)
    if ledger is None:
        logger.warning("budgets count from now on only: without the plugin ledger, nothing is known")
        return

    for attempt in range(TRIES):
        try:
            await _load(book, ledger, places, until)
        except Unavailable as error:
            if not attempt:
                logger.warning("budgets do not know yet what was used before: %s", error)
            await asyncio.sleep(AGAIN_AFTER)
        else:
            return


async def load_share(
    book: Book, context: Context, backend: str, window: str, since: float, until: float
) -> None:
    """Add to a window's shares what requests have used between two times."""
    ledger = await find_ledger(context)
    if ledger is None:
        return
    try:
        total, owners = await used_of(book, ledger, backend, since, until)
    except Unavailable as error:
        logger.warning("the shares of [backends.%s] count from now on only: %s", backend, error)
        return
    book.shares.load(backend, window, total, owners)


async def used_of(
    book: Book, ledger: Ledger, backend: str, since: float, until: float
) -> tuple[float, dict[str, float]]:
    """Return what requests have used of a backend between two times, all together and by owner.

    Raises :class:`Unavailable`.
    """
    where = Where(backend=backend)
    groups = {by: await ledger.usage(by, since, until, where) for by in _kinds(book.accounts)}
    every = groups["key"] if "key" in groups else await ledger.usage("key", since, until, where)
    owners = {
        account.owner: sum(weight(row) for row in groups[place[0]] if is_of(place, row.group))
        for place, account in book.accounts.items()
    }
    return sum(map(weight, every)), owners


async def _load(book: Book, ledger: Ledger, places: Places, until: float) -> None:
    """Read everything first, and add it only then, so that a failure leaves nothing half added."""
    limits = {
        (place, period): begin(period, until)
        for place in places
        if place in book.accounts
        for period, _, _ in book.accounts[place].limits
    }
    asked = {(place[0], start) for (place, _), start in limits.items()}
    groups: dict[tuple[By, float], list[Usage]] = {
        (kind, start): await ledger.usage(kind, start, until) for kind, start in asked
    }
    for (place, period), start in limits.items():
        rows = [row for row in groups[place[0], start] if is_of(place, row.group)]
        cost = Cost(sum(row.tokens for row in rows), sum(row.price for row in rows))
        if account := book.accounts.get(place):
            account.add(period, start, cost, time.time())


def _kinds(places: Iterable[tuple[Kind, str]]) -> set[Kind]:
    return {kind for kind, _ in places}


def is_of(place: tuple[Kind, str], group: str) -> bool:
    """Return whether a group of the ledger's sums belongs to a budget."""
    kind, name = place
    return matches(name, group) if kind == "model" else name == group


async def find_ledger(context: Context) -> Ledger | None:
    """Return the ledger, which another plugin may offer a moment later."""
    end = time.monotonic() + _OFFERED_WITHIN
    while (found := context.find(Ledger)) is None and time.monotonic() < end:  # noqa: ASYNC110  # no event
        await asyncio.sleep(0.05)
    return found
