"""All budgets of one process: which of them a request counts for, and what is reserved for it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from claude_max_proxy import PlanWindow, Record
from claude_max_proxy.errors import BudgetSpent, ProxyError, TooManyRequests
from claude_max_proxy.facts.budgets import BudgetFacts, Budgets
from claude_max_proxy.formats import matches
from claude_max_proxy.observers.budgets.account import Account, Cost
from claude_max_proxy.observers.budgets.estimates import Estimates
from claude_max_proxy.observers.budgets.settings import Budget, Settings
from claude_max_proxy.observers.budgets.shares import Shares, weight


Kind = Literal["key", "model", "backend"]


_ROUNDING = 1e-9


class Who(msgspec.Struct, frozen=True):
    """Whose budgets a request counts for: its key, the model that it asks for, and the backend."""

    key: str
    model: str
    backend: str


class _Held(msgspec.Struct, frozen=True):
    """What is reserved for a request: where, how much, and how many tokens were counted in it."""

    accounts: list[Account]
    cost: Cost
    length: int


class Book(Budgets):
    """The accounts, by kind and name. They outlive a configuration; what is reserved is kept by request.

    ``of_all`` is what is known of the accounts of all replicas together, by their owners.
    """

    def __init__(self) -> None:
        """Begin without budgets."""
        self.accounts: dict[tuple[Kind, str], Account] = {}
        self.estimates = Estimates()
        self.shares = Shares()
        self.of_all: dict[str, Account] = {}
        self._held: dict[str, _Held] = {}

    def configure(self, settings: Settings) -> list[tuple[Kind, str]]:
        """Use these budgets, and return which of them are new; the others keep what was used."""
        given: dict[tuple[Kind, str], Budget] = {}
        given.update({("key", name): budget for name, budget in settings.keys.items()})
        given.update({("model", name): budget for name, budget in settings.models.items()})
        given.update({("backend", name): budget for name, budget in settings.backends.items()})
        new = [place for place in given if place not in self.accounts]
        accounts = {}
        for (kind, name), budget in given.items():
            account = self.accounts.get((kind, name)) or Account(f"the {kind} {name!r}", budget)
            account.use(budget)
            accounts[kind, name] = account
        self.accounts = accounts
        return new

    def facts(self) -> list[BudgetFacts]:
        """Return every limit, and how much of it is used, by all replicas if there are several."""
        now = time.time()
        return [
            one
            for place, account in self.accounts.items()
            for one in self.of_all.get(account.owner, account).facts(*place, now)
        ]

    def matching(self, who: Who) -> list[Account]:
        """Return the accounts that a request counts for."""
        return [account for place, account in self.accounts.items() if _matches(place, who)]

    def admit(
        self,
        id: str,
        accounts: Sequence[Account],
        estimate: Cost,
        length: int,
        who: Who,
        windows: Sequence[PlanWindow],
    ) -> None:
        """Reserve what a request may cost. Raises a :class:`ProxyError` if there is no room for it.

        ``length`` is how many tokens were counted in the request itself.
        Nothing is awaited between the check and the reservation, so no other request comes in between.
        """
        now = time.time()
        for account in accounts:
            refuse(account, estimate, now)
            self._check_windows(account, who.backend, windows, now)
        self.hold(id, accounts, estimate, length)

    def hold(self, id: str, accounts: Sequence[Account], estimate: Cost, length: int) -> None:
        """Reserve in this process what a request may cost."""
        if id and id not in self._held:
            for account in accounts:
                account.reserve(estimate)
            self._held[id] = _Held(list(accounts), estimate, length)

    def settle(self, record: Record, cost: Cost | None) -> tuple[list[str], Cost]:
        """Replace what was reserved for a finished request by its ``cost``; ``None`` if that is not known.

        Returns the owners of the accounts that are charged, and with what.
        """
        held = self._held.pop(record.id, _Held([], Cost(), 0))
        for account in held.accounts:
            account.release(held.cost)
        if cost is None:  # the answer had begun, and nobody says how long it was
            cost = held.cost
        who, now = Who(record.client.key, record.model, record.backend), time.time()
        owners = []
        for account in self.matching(who):
            account.charge(cost, now)
            owners.append(account.owner)
        self.estimates.learn(record, held.length)
        self.shares.add(record.backend, owners, weight(record.usage))
        return owners, cost

    def check_windows(self, accounts: Iterable[Account], backend: str, windows: Sequence[PlanWindow]) -> None:
        """Raise :class:`BudgetSpent` if too little of a window is left, or too much of it was used."""
        for account in accounts:
            self._check_windows(account, backend, windows, time.time())

    def is_held(self, id: str) -> bool:
        """Return whether something is reserved for this request."""
        return id in self._held

    @property
    def wants_shares(self) -> bool:
        """Whether a budget needs to know who has used what of a plan's windows."""
        return any(account.budget.window_share is not None for account in self.accounts.values())

    def _check_windows(
        self, account: Account, backend: str, windows: Iterable[PlanWindow], now: float
    ) -> None:
        """Raise :class:`BudgetSpent` if too little of a window is left, or too much of it was used."""
        budget = account.budget
        for window in windows:
            if window.used is None or window.length is None:
                continue
            if budget.reserve is not None and 1 - window.used < budget.reserve:
                left = max(1 - window.used, 0.0)
                raise _held_back(
                    f"{account.owner} is held back: {left:.0%} of the {window.title} of the backend "
                    f"{backend!r} are left, and {budget.reserve:.0%} are reserved for others",
                    window,
                    now,
                )
            share = self.shares.of(account.owner, backend, window)
            if (
                budget.window_share is not None
                and share is not None
                and share >= budget.window_share - _ROUNDING
            ):
                raise _held_back(
                    f"{account.owner} has used {share:.1%} of the {window.title} of the backend {backend!r}, "
                    f"and may use {budget.window_share:.0%} of it",
                    window,
                    now,
                )


_MINUTE = 60


def refuse(account: Account, estimate: Cost, now: float) -> None:
    """Raise a :class:`ProxyError` if an account has no room for a request."""
    refusal = account.refusal(estimate, now)
    if refusal is None:
        return
    said = "is used up" if refusal.spent else "has no room now"
    error = BudgetSpent if refusal.spent and refusal.retry_after > _MINUTE else TooManyRequests
    raise error(f"the budget of {account.owner} {said}: {refusal.words}", retry_after=refusal.retry_after)


def _held_back(words: str, window: PlanWindow, now: float) -> ProxyError:
    if window.resets_at is None:
        return BudgetSpent(words, retry_after=_MINUTE)

    until = time.strftime("%Y-%m-%d %H:%M", time.localtime(window.resets_at))
    wait = max(math.ceil(window.resets_at - now), 1)
    return BudgetSpent(f"{words}; it resets at {until}", retry_after=wait)


def _matches(place: tuple[Kind, str], who: Who) -> bool:
    kind, name = place
    match kind:
        case "key":
            return name == who.key
        case "backend":
            return name == who.backend
        case "model":
            return matches(name, who.model)
