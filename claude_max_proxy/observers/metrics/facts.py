"""Reads what is the case now: processes, windows, the ledger, reloads. Only done when metrics are read."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import get_args

from claude_max_proxy import Context, ProcessFacts, __version__
from claude_max_proxy.backend import Backend
from claude_max_proxy.facts.budgets import Budgets
from claude_max_proxy.facts.plan_windows import WindowStatus
from claude_max_proxy.facts.processes import ProcessState
from claude_max_proxy.facts.replicas import Replicas
from claude_max_proxy.ledger import Ledger
from claude_max_proxy.observers.metrics import names
from claude_max_proxy.observers.metrics.tally import Labels


Values = defaultdict[str, dict[Labels, float]]
_STATUSES = ("ok", "starting", "degraded", "unavailable")
_WINDOW_STATUSES = tuple(status for status in get_args(WindowStatus) if status)


class Facts:
    """Reads the facts of one configuration after the other; what only grows is added up over all of them."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._cpu: dict[str, float] = defaultdict(float)
        self._cpu_seen: dict[tuple[str, int], float] = {}
        self._failed: dict[str, int] = defaultdict(int)

    def replace(self, context: Context) -> None:
        """Keep what was counted in ``context``, since another one takes its place."""
        for plugin in context.plugins():
            self._failed[plugin.name] += plugin.failures

    def read(self, context: Context) -> Values:
        """Return the values of all metrics that are not added up from requests."""
        values: Values = defaultdict(dict)
        self._read_backends(context, values)
        self._read_plugins(context, values)
        _read_windows(context.backends, values)
        _read_ledger(context, values)
        _read_budgets(context, values)
        replicas = context.find(Replicas)  # type: ignore[type-abstract]  # it finds what derives from it
        if replicas is not None:
            values[names.REPLICAS.name][()] = len(replicas.facts())
        if (reload := context.last_reload()) is not None:
            values[names.RELOAD_TIME.name][()] = reload.at
        under_way: dict[Labels, float] = {(name,): 0 for name in context.backends}
        for record in context.underway():
            under_way[(record.backend,)] = under_way.get((record.backend,), 0) + 1
        values[names.UNDER_WAY.name] = under_way
        replica = context.config.server.replica
        values[names.BUILD.name][__version__, platform.python_version(), replica] = 1
        return values

    def _read_backends(self, context: Context, values: Values) -> None:
        health = context.health()
        values[names.RELOAD_SUCCESS.name][()] = 0 if health.get("config_problem") else 1
        statuses = health.get("backends", {})
        alive: dict[tuple[str, int], float] = {}
        for name, backend in context.backends.items():
            status = str(statuses.get(name, {}).get("status", "ok"))
            _set_state(values[names.BACKEND.name], (name,), _STATUSES, status)
            processes = backend.processes()
            _count(name, processes, values)
            for one in processes:
                if one.cpu is not None:
                    before = self._cpu_seen.get((name, one.pid), 0.0)
                    self._cpu[name] += one.cpu - before if one.cpu >= before else one.cpu
                    alive[name, one.pid] = one.cpu
        self._cpu_seen = alive
        values[names.PROCESS_CPU.name] = {(name,): seconds for name, seconds in self._cpu.items()}

    def _read_plugins(self, context: Context, values: Values) -> None:
        failures = values[names.PLUGIN_FAILURES.name]
        failures.update({(name,): count for name, count in self._failed.items()})
        for plugin in context.plugins():
            failures[(plugin.name,)] = self._failed[plugin.name] + plugin.failures


def _count(backend: str, processes: Iterable[ProcessFacts], values: Values) -> None:
    """Count a backend's processes by their state, and add up their memory."""
    counted, memory = values[names.PROCESSES.name], values[names.PROCESS_MEMORY.name]
    for one in processes:
        if (backend, one.state) not in counted:
            for state in get_args(ProcessState):
                counted[backend, state] = memory[backend, state] = 0
        counted[backend, one.state] += 1
        memory[backend, one.state] += one.memory or 0


def _read_windows(backends: Mapping[str, Backend], values: Values) -> None:
    for name, backend in backends.items():
        for window in backend.windows():
            labels = (name, window.name)
            known = (
                (names.WINDOW_USED, window.used),
                (names.WINDOW_RESET, window.resets_at),
                (names.WINDOW_RUNS_OUT, window.runs_out_at),
            )
            for metric, value in known:
                if value is not None:
                    values[metric.name][labels] = value
            if window.status:
                _set_state(values[names.WINDOW_STATUS.name], labels, _WINDOW_STATUSES, window.status)


def _read_ledger(context: Context, values: Values) -> None:
    ledger = context.find(Ledger)
    if ledger is not None:
        state = ledger.state()
        values[names.LEDGER_WAITING.name][()] = state.waiting
        values[names.LEDGER_LOST.name][()] = state.lost
        values[names.LEDGER_AWAY.name][()] = bool(state.away)


def _read_budgets(context: Context, values: Values) -> None:
    budgets = context.find(Budgets)  # type: ignore[type-abstract]  # it finds what derives from it
    for one in budgets.facts() if budgets is not None else ():
        values[names.BUDGET_USED.name][one.kind, one.name, one.period, one.unit] = one.share


def _set_state(series: dict[Labels, float], labels: Labels, states: Iterable[str], state: str) -> None:
    for one in states:
        series[(*labels, one)] = float(one == state)
