"""Lets the budgets of all replicas begin with what the ledger has of the hour, day and month that run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from claude_max_proxy import Context
from claude_max_proxy.errors import Unreachable
from claude_max_proxy.facts.spending import Spending, Spent
from claude_max_proxy.ledger import Ledger, Unavailable, Usage
from claude_max_proxy.observers.budgets.book import Book, Kind
from claude_max_proxy.observers.budgets.loading import AGAIN_AFTER, TRIES, find_ledger, is_of
from claude_max_proxy.observers.budgets.periods import PERIODS, begin


logger = logging.getLogger(__name__)

Place = tuple[Kind, str]


async def seed(
    book: Book, context: Context, spending: Spending, places: Sequence[Place], since: float
) -> None:
    """Let budgets begin with what was used before this replica counts them, which it does ``since`` then.

    Each ledger is counted once, by one replica; replicas that have one each count all of them.
    """
    ledger = await find_ledger(context)
    if ledger is None:
        logger.warning("budgets count from now on only: without the plugin ledger, nothing is known")
        return

    for attempt in range(TRIES):
        try:
            await _seed(book, ledger, spending, places, since)
        except (Unavailable, Unreachable) as error:
            if not attempt:
                logger.warning("budgets do not know yet what was used before: %s", error)
            await asyncio.sleep(AGAIN_AFTER)
        else:
            return


async def _seed(
    book: Book, ledger: Ledger, spending: Spending, places: Sequence[Place], since: float
) -> None:
    owners = {book.accounts[place].owner: place for place in places if place in book.accounts}
    source, now = await ledger.identity(), time.time()
    found = await spending.unseeded(list(owners), source, max(now - since, 0.0))
    for owner, age in found.items():
        await spending.seed(owner, source, await _used_before(ledger, owners[owner], time.time() - age))


async def _used_before(ledger: Ledger, place: Place, until: float) -> list[tuple[float, Spent]]:
    """Return what was used in each period that ``until`` belongs to, apart from the shorter ones in it.

    Each is put into the middle of its time, so that no period counts it that should not.
    """
    amounts, shorter, end = [], Spent(), until
    for period in PERIODS:
        start = begin(period, until)
        rows = [row for row in await ledger.usage(place[0], start, until) if is_of(place, row.group)]
        used = _sum(rows)
        rest = Spent(max(used.tokens - shorter.tokens, 0), max(used.dollars - shorter.dollars, 0.0))
        if start < end and rest != Spent():
            amounts.append((max(time.time() - (start + end) / 2, 0.0), rest))
        shorter, end = used, start
    return amounts


def _sum(rows: Sequence[Usage]) -> Spent:
    return Spent(sum(row.tokens for row in rows), sum(row.price for row in rows))
