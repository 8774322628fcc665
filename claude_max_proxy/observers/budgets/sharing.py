"""Counts the shares of plans' windows together with all other replicas."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import msgspec

from claude_max_proxy import Context
from claude_max_proxy.errors import Unreachable
from claude_max_proxy.facts.spending import EVERYBODY, Spending
from claude_max_proxy.ledger import Unavailable
from claude_max_proxy.observers.budgets.book import Book
from claude_max_proxy.observers.budgets.loading import AGAIN_AFTER, TRIES, find_ledger, used_of
from claude_max_proxy.observers.budgets.shares import Counted


logger = logging.getLogger(__name__)


class First(msgspec.Struct, frozen=True):
    """A request that is not counted yet: when it began, whose it is, and what it used."""

    began: float
    owners: Sequence[str]
    amount: float


async def exchange(book: Book, spending: Spending) -> None:
    """Tell what was counted here of each window, and hear what others have counted.

    Raises :class:`Unreachable`.
    """
    for one in book.shares.counted().values():
        await _exchange(book, spending, one)


async def begin_together(
    book: Book, context: Context, spending: Spending, backend: str, window: str, first: First
) -> None:
    """Begin to count a window together, with what the ledger has of the time before the first replica did.

    The ``first`` request, which has shown the window here, began before that at one replica only. If the
    database is away then, that request is not counted.
    """
    for attempt in range(TRIES):
        try:
            await _begin(book, context, spending, (backend, window), first if not attempt else None)
        except (Unavailable, Unreachable) as error:
            if not attempt:
                logger.warning("the shares of [backends.%s] count from now on only: %s", backend, error)
            await asyncio.sleep(AGAIN_AFTER)
        else:
            return


async def _begin(
    book: Book, context: Context, spending: Spending, place: tuple[str, str], first: First | None
) -> None:
    if (one := book.shares.counted().get(place)) is None:
        return
    since = time.time() - await _exchange(book, spending, one)
    if first is not None and first.began >= since:
        book.shares.add_to(*place, first.owners, first.amount)
    if (ledger := await find_ledger(context)) is not None:
        total, owners = await used_of(book, ledger, one.backend, one.start, since)
        amounts, age = {EVERYBODY: total, **owners}, max(time.time() - one.start, 0.0)
        source = await ledger.identity()
        await spending.count_window_before(one.name, age, one.base, source, amounts)
    await _exchange(book, spending, book.shares.counted()[place])


async def _exchange(book: Book, spending: Spending, one: Counted) -> float:
    age = max(time.time() - one.start, 0.0)
    others = await spending.count_window(one.name, age, one.base, one.of)
    book.shares.hear(one.backend, one.window, one.start, others)
    return others.counted
