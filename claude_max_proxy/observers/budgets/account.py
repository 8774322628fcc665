"""What was used of one budget, what is reserved for running requests, and whether there is room. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import msgspec

from claude_max_proxy.facts.budgets import BudgetFacts
from claude_max_proxy.facts.spending import BOUNDLESS, Spent, Standing
from claude_max_proxy.observers.budgets.periods import PERIODS, Period, begin, end
from claude_max_proxy.observers.budgets.settings import Budget


_MINUTE = 60
_SOON = 2  # seconds after which a running request may have made room


class Cost(msgspec.Struct, frozen=True):
    """What a request costs: tokens, and their price in US dollars by the provider's API."""

    tokens: int = 0
    dollars: float = 0.0


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no room: the numbers, and after how many seconds there is.

    ``spent`` says that the budget itself is used up; otherwise running requests hold what is left of it.
    """

    words: str
    retry_after: int
    spent: bool


class _Sum(msgspec.Struct):
    start: float = 0.0
    end: float = 0.0
    tokens: int = 0
    dollars: float = 0.0


class Account:
    """The account of one budget; ``owner`` says whose it is, such as "the key 'cron'".

    Times are in seconds since 1970.
    """

    def __init__(self, owner: str, budget: Budget) -> None:
        """Begin with nothing used."""
        self.owner = owner
        self.use(budget)
        self.running = 0
        self._reserved = Cost()
        self._sums: dict[Period, _Sum] = {period: _Sum() for period in PERIODS}
        self._seconds: dict[int, int] = {}

    def use(self, budget: Budget) -> None:
        """Use these limits from now on; what was used stays.

        ``limits`` are those in tokens and in dollars of each period that has one, and ``has_price`` says
        whether one of them is in dollars.
        """
        self.budget = budget
        self.limits = list(_limits(budget))
        self.has_price = any(dollars is not None for _, _, dollars in self.limits)

    def facts(self, kind: Literal["key", "model", "backend"], name: str, now: float) -> Iterator[BudgetFacts]:
        """Yield what is used of each limit."""
        held = self._reserved
        if (limit := self.budget.tokens_per_minute) is not None:
            yield BudgetFacts(kind, name, "tokens", "minute", limit, self.used_in_a_minute(now), held.tokens)
        for period, tokens, dollars in self.limits:
            found = self._sum(period, now)
            resets_at = found.end
            if tokens is not None:
                yield BudgetFacts(kind, name, "tokens", period, tokens, found.tokens, held.tokens, resets_at)
            if dollars is not None:
                yield BudgetFacts(
                    kind, name, "dollars", period, dollars, found.dollars, held.dollars, resets_at
                )

    def used(self, period: Period, now: float) -> Cost:
        """Return what was used in the period of this time."""
        found = self._sum(period, now)
        return Cost(found.tokens, found.dollars)

    def refusal(self, estimate: Cost, now: float) -> Refusal | None:
        """Return why a request that may cost ``estimate`` has no room, or ``None`` if it has.

        A request is admitted if it fits in with all that run, or if nothing runs and something is left: so at
        most what was running is used beyond a limit.
        """
        limit = self.budget.tokens_per_minute
        if limit is not None and (words := self._short(self.used_in_a_minute(now), estimate.tokens, limit)):
            wait = self._until_room(limit, now) if words[1] else _SOON
            return Refusal(f"{words[0]} tokens a minute", wait, words[1])
        for period, tokens, dollars in self.limits:
            found = self._sum(period, now)
            wait = max(math.ceil(found.end - now), 1)
            if tokens is not None and (words := self._short(found.tokens, estimate.tokens, tokens)):
                return Refusal(f"{words[0]} tokens a{_n(period)} {period}", _wait(words[1], wait), words[1])
            if dollars is not None and (words := self._short_of_money(found.dollars, estimate, dollars)):
                return Refusal(f"{words[0]} a{_n(period)} {period}", _wait(words[1], wait), words[1])
        return None

    def reserve(self, cost: Cost) -> None:
        """Hold back what a request may cost, until it is released."""
        self.running += 1
        self._reserved = Cost(self._reserved.tokens + cost.tokens, self._reserved.dollars + cost.dollars)

    def release(self, reserved: Cost) -> None:
        """Hold back no longer what was reserved for a request."""
        self.running -= 1
        held = self._reserved
        self._reserved = Cost(held.tokens - reserved.tokens, max(held.dollars - reserved.dollars, 0.0))

    def as_of(self, standing: Standing, now: float) -> Account:
        """Return an account of the same budget, with what all replicas have used and hold."""
        account = Account(self.owner, self.budget)
        account.running = standing.running
        account._reserved = Cost(standing.reserved.tokens, standing.reserved.dollars)
        account._seconds = {int(now) - ago: tokens for ago, tokens in standing.seconds.items()}
        for period in PERIODS:
            used = standing.used.get(period, Spent())
            account._sums[period] = _Sum(begin(period, now), end(period, now), used.tokens, used.dollars)
        return account

    def room(self, standing: Standing, now: float) -> Spent:
        """Return how much all replicas together can still use and hold; below zero if it is too much."""
        of_all = self.as_of(standing, now)
        held, tokens, dollars = standing.reserved, [BOUNDLESS.tokens], [BOUNDLESS.dollars]
        if (limit := self.budget.tokens_per_minute) is not None:
            tokens.append(limit - of_all.used_in_a_minute(now) - held.tokens)
        for period, most, most_dollars in self.limits:
            used = of_all.used(period, now)
            if most is not None:
                tokens.append(most - used.tokens - held.tokens)
            if most_dollars is not None:
                dollars.append(most_dollars - used.dollars - held.dollars)
        return Spent(min(tokens), min(dollars))

    def part(self, replicas: int) -> Account:
        """Return an account of what one of so many replicas may use alone, with what was counted here."""
        account = Account(self.owner, self.budget.part(replicas))
        account.running, account._reserved = self.running, self._reserved
        account._sums, account._seconds = self._sums, self._seconds
        return account

    def charge(self, cost: Cost, now: float) -> None:
        """Add what a finished request has cost."""
        second = int(now)
        if second not in self._seconds:
            self.used_in_a_minute(now)
        self._seconds[second] = self._seconds.get(second, 0) + cost.tokens
        for period in PERIODS:
            found = self._sum(period, now)
            found.tokens += cost.tokens
            found.dollars += cost.dollars

    def add(self, period: Period, start: float, cost: Cost, now: float) -> None:
        """Add what was used in the period that began at ``start``; other periods are over."""
        found = self._sum(period, now)
        if found.start == start:
            found.tokens += cost.tokens
            found.dollars += cost.dollars

    def _sum(self, period: Period, now: float) -> _Sum:
        found = self._sums[period]
        if not found.start <= now < found.end:
            found = self._sums[period] = _Sum(begin(period, now), end(period, now))
        return found

    def used_in_a_minute(self, now: float) -> int:
        """Return the tokens of the last minute, and forget those before."""
        self._seconds = {at: tokens for at, tokens in self._seconds.items() if at > now - _MINUTE}
        return sum(self._seconds.values())

    def _until_room(self, limit: int, now: float) -> int:
        """Return after how many seconds less than the limit of a minute is used."""
        used, at = sum(self._seconds.values()), now - _MINUTE
        newest_first = sorted(self._seconds, reverse=True)
        while used >= limit:
            at = newest_first.pop()
            used -= self._seconds[at]
        return max(math.ceil(at + _MINUTE - now), 1)

    def _short(self, used: int, wanted: int, limit: int) -> tuple[str, bool] | None:
        """Return the numbers, and whether the limit itself is reached, if there is no room."""
        if used >= limit:
            return f"{used:,} of {limit:,}", True
        if self.running and used + self._reserved.tokens + wanted > limit:
            held = f"{used:,} used and {self._reserved.tokens:,} held for {_running(self.running)}"
            return f"{held}, of {limit:,}", False
        return None

    def _short_of_money(self, used: float, estimate: Cost, limit: float) -> tuple[str, bool] | None:
        if used >= limit:
            return f"{_money(used)} of {_money(limit)}", True
        if self.running and used + self._reserved.dollars + estimate.dollars > limit:
            held = (
                f"{_money(used)} used and {_money(self._reserved.dollars)} held for {_running(self.running)}"
            )
            return f"{held}, of {_money(limit)}", False
        return None


def _limits(budget: Budget) -> Iterator[tuple[Period, int | None, float | None]]:
    for period in PERIODS:
        tokens = getattr(budget, f"tokens_per_{period}")
        dollars = getattr(budget, f"dollars_per_{period}")
        if tokens is not None or dollars is not None:
            yield period, tokens, dollars


def _money(dollars: float) -> str:
    """Return an amount with two digits after the point, or with two that count if it is very small."""
    return f"${dollars:.2f}" if dollars >= 0.01 or not dollars else f"${dollars:.2g}"


def _wait(spent: bool, wait: int) -> int:
    return wait if spent else min(_SOON, wait)


def _n(period: Period) -> str:
    return "n" if period == "hour" else ""


def _running(count: int) -> str:
    return "one running request" if count == 1 else f"{count} running requests"
