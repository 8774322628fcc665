"""Limits what keys, models and backends may use: tokens, their price, and shares of a plan's windows.

What a request may cost is reserved before it runs, and replaced by what it has cost afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import ClassVar

from claude_max_proxy import Context, Record, Request, Target, Tasks, Usage, hookimpl
from claude_max_proxy.ledger import price_of
from claude_max_proxy.observers.budgets.account import Cost
from claude_max_proxy.observers.budgets.book import Book, Who
from claude_max_proxy.observers.budgets.loading import load, load_share
from claude_max_proxy.observers.budgets.settings import Settings


__all__ = ["Settings"]

logger = logging.getLogger(__name__)
_MOST_UNPRICED = 100


class _Holder:
    """What is counted in this process, whichever configuration is in force."""

    book = Book()
    context: Context | None = None
    tasks = Tasks()
    unpriced: ClassVar[set[tuple[str, ...]]] = set()


@hookimpl
def configured(context: Context, settings: Settings) -> None:
    """Use the budgets of a configuration; for new ones, learn in the background what was used before."""
    _Holder.context = context
    new = _Holder.book.configure(settings)
    context.offer(_Holder.book)
    if new:
        _Holder.tasks.start(load(_Holder.book, context, new, time.time()), "budgets-load")
    if any(account.has_price for account in _Holder.book.accounts.values()):
        _Holder.tasks.start(_load_prices(), "budgets-prices")


@hookimpl
async def admit_request(request: Request, target: Target, context: Context) -> None:
    """Reserve what a request may cost, or refuse it."""
    book = _Holder.book
    who = Who(request.client.key, request.model, target.backend)
    accounts = book.matching(who)
    if not accounts:
        return

    usage, length = book.estimates.of(request, target.model)
    dollars = 0.0
    if any(account.has_price for account in accounts):
        models = (context.backends[target.backend].describe(target.model).name, target.model)
        dollars = await _price(usage, models, time.time())
    windows = context.backends[target.backend].windows()
    cost = Cost(usage.prompt_tokens + usage.output_tokens, dollars)
    book.admit(request.id, accounts, cost, length, who, windows)


@hookimpl
async def log_request(record: Record) -> None:
    """Replace what was reserved for a request by what it has cost."""
    book = _Holder.book
    if not book.accounts and not book.is_held(record.id):
        return
    cost = await _cost(record)
    book.settle(record, cost)
    _begin_windows(record.backend)


@hookimpl
async def shutdown() -> None:
    """End what runs in the background."""
    await _Holder.tasks.close()
    _Holder.tasks, _Holder.book, _Holder.context = Tasks(), Book(), None


async def _cost(record: Record) -> Cost | None:
    """Return what a request has cost; ``None`` if it has used something, but nobody says how much."""
    usage = record.usage
    if usage is None:
        return None if record.pieces else Cost()

    dollars = 0.0
    if any(account.has_price for account in _Holder.book.accounts.values()):
        models = (record.answered_by, record.upstream_model)  # as in the ledger
        dollars = await _price(usage, models, record.began)
    return Cost(usage.prompt_tokens + usage.output_tokens, dollars)


def _begin_windows(name: str) -> None:
    """Begin to count the shares of a backend's new windows, with what the ledger knows of them."""
    book, context = _Holder.book, _Holder.context
    backend = context.backends.get(name) if context is not None else None
    if context is None or backend is None or not book.wants_shares:
        return
    for window, start in book.shares.begin(name, backend.windows()):
        loading = load_share(book, context, name, window, start, time.time())
        _Holder.tasks.start(loading, "budgets-shares")


async def _price(usage: Usage, models: tuple[str, ...], at: float) -> float:
    """Return what tokens cost by the API in US dollars.

    A model whose price is not known costs 0, and the log says so once.
    """
    price: float | None = await asyncio.to_thread(lambda: price_of(usage, models, at))
    unpriced = _Holder.unpriced
    if price is None and usage != Usage() and models not in unpriced and len(unpriced) < _MOST_UNPRICED:
        unpriced.add(models)
        name = next(filter(None, reversed(models)), "")
        logger.warning("a budget counts a price, but that of the model %r is not known: it counts as 0", name)
    return price or 0.0


async def _load_prices() -> None:
    """Load the prices on a thread, which takes half a second, before a request has to wait for that."""
    await _price(Usage(1, 1), ("claude-sonnet-4-5",), time.time())
