"""Limits what keys, models and backends may use: tokens, their price, and shares of a plan's windows.

What a request may cost is reserved before it runs, and replaced by what it has cost afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Iterable, Sequence
from typing import ClassVar

from claude_max_proxy import Context, Record, Request, Target, Tasks, Usage, hookimpl
from claude_max_proxy.errors import Unreachable
from claude_max_proxy.facts.spending import Spending, Spent
from claude_max_proxy.ledger import price_of
from claude_max_proxy.observers.budgets.account import Account, Cost
from claude_max_proxy.observers.budgets.book import Book, Who
from claude_max_proxy.observers.budgets.loading import load, load_share
from claude_max_proxy.observers.budgets.seeding import seed
from claude_max_proxy.observers.budgets.settings import Settings
from claude_max_proxy.observers.budgets.shares import weight
from claude_max_proxy.observers.budgets.sharing import First, begin_together, exchange
from claude_max_proxy.observers.budgets.together import admit, admit_here, refresh


__all__ = ["Settings"]

logger = logging.getLogger(__name__)
_MOST_UNPRICED = 100
_REFRESHED_EVERY, _EXCHANGED_EVERY = 5.0, 1.0  # seconds


class _Holder:
    """What is counted in this process, whichever configuration is in force."""

    book = Book()
    context: Context | None = None
    tasks = Tasks()
    unpriced: ClassVar[set[tuple[str, ...]]] = set()
    has_prices = False  # whether they are loaded
    spending: Spending | None = None
    refreshing: asyncio.Task[None] | None = None


@hookimpl
def configured(context: Context, settings: Settings) -> None:
    """Use the budgets of a configuration; for new ones, learn in the background what was used before."""
    _Holder.context = context
    new = _Holder.book.configure(settings)
    context.offer(_Holder.book)
    spending = _Holder.spending = context.find(Spending)  # type: ignore[type-abstract]
    if spending is not None and _Holder.refreshing is None:
        _Holder.refreshing = _Holder.tasks.keep(_refresh_on, "budgets-of-all")
        _Holder.tasks.keep(_exchange_on, "budgets-shares-of-all")
    if new and spending is None:
        _Holder.tasks.start(load(_Holder.book, context, new, time.time()), "budgets-load")
    elif new and spending is not None:
        seeding = seed(_Holder.book, context, spending, new, time.time())
        _Holder.tasks.start(seeding, "budgets-seed", lasting=True)
    if _need_price(_Holder.book.accounts.values()):
        _Holder.tasks.start(_load_prices(), "budgets-prices")


# Unless replicas share budgets, these two hooks nearly always need not wait for anything; each request would
# pay for a task otherwise.


@hookimpl
def admit_request(request: Request, target: Target, context: Context) -> Awaitable[None] | None:
    """Reserve what a request may cost, or refuse it."""
    who = Who(request.client.key, request.model, target.backend)
    accounts = _Holder.book.matching(who)
    if accounts and _need_price(accounts) and not _Holder.has_prices:
        return _admit_later(request, target, context, accounts)
    return _admit(request, target, context, accounts) if accounts else None


@hookimpl
def log_request(record: Record) -> Awaitable[None] | None:
    """Replace what was reserved for a request by what it has cost."""
    accounts = _Holder.book.accounts
    if not accounts and not _Holder.book.is_held(record.id):
        return None
    if _need_price(accounts.values()) and not _Holder.has_prices:
        # What is reserved must be released, even if the client has left and so cancels whoever waits here.
        return asyncio.shield(_Holder.tasks.start(_settle_later(record), "budgets-settle"))
    _settle(record)
    return None


@hookimpl
async def shutdown() -> None:
    """End what runs in the background."""
    await _Holder.tasks.close()
    _Holder.tasks, _Holder.book, _Holder.context = Tasks(), Book(), None
    _Holder.spending = _Holder.refreshing = None


def _need_price(accounts: Iterable[Account]) -> bool:
    return any(account.has_price for account in accounts)


def _admit(
    request: Request, target: Target, context: Context, accounts: Sequence[Account]
) -> Awaitable[None] | None:
    book, backend = _Holder.book, context.backends[target.backend]
    usage, length = book.estimates.of(request, target.model)
    dollars = 0.0
    if _need_price(accounts):
        dollars = _price(usage, (backend.describe(target.model).name, target.model), time.time())
    cost = Cost(usage.prompt_tokens + usage.output_tokens, dollars)
    who = Who(request.client.key, request.model, target.backend)
    spending, windows = _Holder.spending, backend.windows()
    if spending is None:
        book.admit(request.id, accounts, cost, length, who, windows)
        return None
    if admit_here(book, spending, request.id, accounts, cost, length, who, windows):
        return None
    return admit(book, spending, request.id, accounts, cost, length, who, windows)


def _settle(record: Record) -> None:
    owners, cost = _Holder.book.settle(record, _cost(record))
    if _Holder.spending is not None:
        _Holder.spending.settle(record.id, owners, Spent(cost.tokens, cost.dollars))
    if _Holder.book.wants_shares:
        _begin_windows(record, owners)


async def _admit_later(
    request: Request, target: Target, context: Context, accounts: Sequence[Account]
) -> None:
    await _load_prices()
    admitted = _admit(request, target, context, accounts)
    if admitted is not None:
        await admitted


async def _refresh_on() -> None:
    """Learn again and again what all replicas have used, for those who look at it."""
    while True:
        if _Holder.spending is not None:
            with contextlib.suppress(Unreachable):
                await refresh(_Holder.book, _Holder.spending)
        await asyncio.sleep(_REFRESHED_EVERY)


async def _exchange_on() -> None:
    """Learn again and again what all replicas have used of plans' windows, by which they decide."""
    while True:
        if _Holder.spending is not None and _Holder.book.wants_shares:
            with contextlib.suppress(Unreachable):
                await exchange(_Holder.book, _Holder.spending)
        await asyncio.sleep(_EXCHANGED_EVERY)


async def _settle_later(record: Record) -> None:
    await _load_prices()
    _settle(record)


def _cost(record: Record) -> Cost | None:
    """Return what a request has cost; ``None`` if it has used something, but nobody says how much."""
    usage = record.usage
    if usage is None:
        return None if record.pieces else Cost()

    dollars = 0.0
    if _need_price(_Holder.book.accounts.values()):
        models = (record.answered_by, record.upstream_model)  # as in the ledger
        dollars = _price(usage, models, record.began)
    return Cost(usage.prompt_tokens + usage.output_tokens, dollars)


def _begin_windows(record: Record, owners: Sequence[str]) -> None:
    """Begin to count the shares of a backend's new windows, with what the ledger knows of them."""
    book, context, name, spending = _Holder.book, _Holder.context, record.backend, _Holder.spending
    backend = context.backends.get(name) if context is not None else None
    if context is None or backend is None:
        return
    for window, start in book.shares.begin(name, backend.windows()):
        if spending is None:
            work = load_share(book, context, name, window, start, time.time())
        else:
            first = First(record.began, owners, weight(record.usage))
            work = begin_together(book, context, spending, name, window, first)
        _Holder.tasks.start(work, "budgets-shares", lasting=True)


def _price(usage: Usage, models: tuple[str, ...], at: float) -> float:
    """Return what tokens cost by the API in US dollars.

    A model whose price is not known costs 0, and the log says so once.
    """
    price = price_of(usage, models, at)
    unpriced = _Holder.unpriced
    if price is None and usage != Usage() and models not in unpriced and len(unpriced) < _MOST_UNPRICED:
        unpriced.add(models)
        name = next(filter(None, reversed(models)), "")
        logger.warning("a budget counts a price, but that of the model %r is not known: it counts as 0", name)
    return price or 0.0


async def _load_prices() -> None:
    """Load the prices on a thread, since that takes half a second."""
    await asyncio.to_thread(price_of, Usage(1, 1), ("claude-sonnet-4-5",), time.time())
    _Holder.has_prices = True
