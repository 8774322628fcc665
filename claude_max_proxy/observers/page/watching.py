"""Reads the running proxy and the ledger for the view Now, at most once a second however many look."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from claude_max_proxy import Backend, Context, Tasks
from claude_max_proxy.facts.budgets import BudgetFacts, Budgets
from claude_max_proxy.facts.processes import ProcessFacts
from claude_max_proxy.facts.replicas import Replicas
from claude_max_proxy.ledger import Ledger, Row, State, Unavailable, Usage
from claude_max_proxy.observers.page import filters, history, limits, now, plan, replicas


_FRESH = 0.9  # seconds: all readers of one second get the same facts
_RECENT = 8
_LONGEST_LOOK = 0.1  # seconds
_LONGEST_QUESTION = 5.0  # seconds
_PATIENCE = 0.1  # seconds; whoever looks at the running requests must not wait for a database


class RecentRow(msgspec.Struct, frozen=True):
    """A request that has just finished."""

    id: str
    began: float
    model: str
    whose: str
    status: int
    ending: str
    tokens: int
    total: float


class Watching:
    """The facts of the view Now."""

    def __init__(self, context: Context) -> None:
        """Look at this proxy."""
        self._context = context
        self._facts: dict[str, Any] = {}
        self._at = 0.0
        self._reading = asyncio.Lock()
        self._asked_at: tuple[int, float] | None = None
        self._recent: list[RecentRow] | None = None  # not known yet
        self._today: list[Usage] | None = None
        self._tasks = Tasks()  # nobody closes it: a question ends by itself
        self._asking: asyncio.Task[None] | None = None
        self._away = ""

    async def facts(self) -> dict[str, Any]:
        """Return the values of the templates in ``now/``; they are at most a second old."""
        async with self._reading:
            if not self._facts or time.monotonic() - self._at > _FRESH:
                self._facts = await self._read()
                self._at = time.monotonic()
            return self._facts

    async def _read(self) -> dict[str, Any]:
        moment = time.time()
        ledger = self._context.find(Ledger)
        if ledger is not None:
            await self._ask(ledger, moment)
        await asyncio.gather(*map(_look, self._context.backends.values()))
        health = self._context.health()
        problems = now.problems(health, self._ledger_problems(ledger))
        running = self._context.underway()
        processes = now.processes(self._processes(), moment)
        budgets = self._budgets()
        return {
            "now": moment,
            "state": now.state(health, problems),
            "problems": problems,
            "windows": self._windows(moment),
            "budgets": limits.cards(budgets),
            "more_budgets": limits.more(budgets),
            "replicas": self._replicas(moment),
            "today": history.today_tiles(self._today),
            "underway": now.underway(running),
            "more_underway": now.more_underway(running),
            "recent": self._recent,
            "processes": processes,
            "processes_line": now.processes_line(processes),
            "reload": self._context.last_reload(),
            "ledger": ledger is not None,
        }

    def _windows(self, moment: float) -> list[plan.WindowCard]:
        backends = self._context.backends.items()
        return [card for name, one in backends for card in plan.cards(name, one.windows(), moment)]

    def _budgets(self) -> Sequence[BudgetFacts]:
        budgets = self._context.find(Budgets)  # type: ignore[type-abstract]  # it finds what derives from it
        return budgets.facts() if budgets is not None else ()

    def _replicas(self, moment: float) -> list[replicas.ReplicaRow]:
        found = self._context.find(Replicas)  # type: ignore[type-abstract]  # it finds what derives from it
        return replicas.rows(found.facts(), moment) if found is not None else []

    def _processes(self) -> Iterable[tuple[str, ProcessFacts]]:
        for name, backend in self._context.backends.items():
            for one in backend.processes():
                yield name, one

    async def _ask(self, ledger: Ledger, moment: float) -> None:
        """Ask the ledger again if requests have been added to it since, or the day is another one.

        The answer is waited for only as long as a reader would not notice; a later look then finds it.
        """
        midnight = filters.today(moment)
        state = ledger.state()
        asked_at = (state.written + state.waiting, midnight)
        if asked_at == self._asked_at:
            return
        if self._asking is None or self._asking.done():
            self._asking = self._tasks.start(self._question(ledger, asked_at, moment), "page-question")
        await asyncio.wait([self._asking], timeout=_PATIENCE)

    async def _question(self, ledger: Ledger, asked_at: tuple[int, float], moment: float) -> None:
        try:
            async with asyncio.timeout(_LONGEST_QUESTION):
                self._today = await ledger.usage("day", asked_at[1], moment + 1)
                self._recent = [_recent(row) for row in await ledger.requests(limit=_RECENT)]
        except (Unavailable, TimeoutError) as error:
            self._away = str(error) or "its database is slow"
        else:
            self._asked_at, self._away = asked_at, ""

    def _ledger_problems(self, ledger: Ledger | None) -> Iterable[str]:
        if ledger is None:
            return []
        return ledger_problems(ledger.state(), self._away)


async def _look(backend: Backend) -> None:
    """Let a backend bring its windows up to date, without waiting for that: the next look will show it."""
    with contextlib.suppress(Exception):  # what it knows already is shown in any case
        async with asyncio.timeout(_LONGEST_LOOK):
            await backend.look_at_plan()


def ledger_problems(state: State, away: str) -> list[str]:
    """Return what is wrong with the ledger, in sentences."""
    found = []
    if reason := state.away or away:
        found.append(f"The database cannot be used: {reason}. {state.waiting} requests wait to be written.")
    if state.lost:
        found.append(f"There was no room for {state.lost} requests, which are missing.")
    return found


def _recent(row: Row) -> RecentRow:
    tokens = row.prompt_tokens + row.output_tokens
    return RecentRow(
        row.id, row.began, row.model, history.whose(row), row.status, row.ending, tokens, row.total
    )
