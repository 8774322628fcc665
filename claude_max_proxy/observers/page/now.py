"""What the view Now shows, as values. Pure: what happens, and the time, the caller says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from claude_max_proxy import Record
from claude_max_proxy.observers.page import formatting


Level = Literal["", "good", "live", "warn", "bad"]
_MOST_ROWS = 30
_PROCESS_LEVELS: dict[str, Level] = {"asked": "live", "warm": "good", "parked": "good", "starting": "warn"}
_HEALTH: dict[str, tuple[Level, str]] = {
    "ok": ("good", "All is well"),
    "starting": ("warn", "Starting"),
    "degraded": ("warn", "Degraded"),
    "unavailable": ("bad", "Unavailable"),
}


class State(msgspec.Struct, frozen=True):
    """How the proxy is doing, in a word or two."""

    level: Level
    text: str


class Problem(msgspec.Struct, frozen=True):
    """Something that somebody should look at."""

    level: Level
    what: str
    text: str


class Underway(msgspec.Struct, frozen=True):
    """One request that is not finished."""

    model: str
    whose: str
    stage: str
    level: Level
    began: float
    pieces: int


class Process(msgspec.Struct, frozen=True):
    """One process of a CLI."""

    state: str
    level: Level
    model: str
    began: float
    turns: int
    memory: float | None
    note: str


class Tile(msgspec.Struct, frozen=True):
    """One number of a summary."""

    name: str
    value: str
    note: str = ""


def state(health: Mapping[str, Any], problems: Sequence[Problem]) -> State:
    """Return the state of the proxy; a problem counts even if the proxy is able to work."""
    level, text = _HEALTH.get(str(health.get("status")), ("warn", str(health.get("status", "unknown"))))
    if level == "good" and problems:
        return State("warn", "1 problem" if len(problems) == 1 else f"{len(problems)} problems")
    return State(level, text)


def problems(health: Mapping[str, Any], ledger: Iterable[str]) -> list[Problem]:
    """Return everything that is wrong: by ``/health``, and what the ledger says about itself."""
    found = [
        Problem("bad", "configuration", str(health[name])) for name in ("config_problem",) if health.get(name)
    ]
    for name, facts in (health.get("backends") or {}).items():
        if facts.get("status") not in ("ok", None):
            level: Level = "bad" if facts["status"] == "unavailable" else "warn"
            found.append(Problem(level, str(name), _backend_problem(facts)))
    found += _named(health.get("plugin_problems"), "plugin {}", "{}")
    found += _named(
        health.get("plugin_failures"), "plugin {}", "its hooks have failed {} times; the log says how"
    )
    found += _named(health.get("task_problems"), "task {}", "{}")
    if health.get("connection_problem"):
        found.append(Problem("warn", "connections", str(health["connection_problem"])))
    return found + [Problem("warn", "ledger", text) for text in ledger]


def _backend_problem(facts: Mapping[str, Any]) -> str:
    problem = facts.get("problem") or facts.get("last_failure")
    return str(problem or f"it is {facts['status']}")


def _named(found: Any, what: str, text: str) -> list[Problem]:
    return [
        Problem("warn", what.format(name), text.format(value))
        for name, value in (found or {}).items()
        if value
    ]


def underway(records: Sequence[Record]) -> list[Underway]:
    """Return the requests that are under way, the oldest first, as many as can be looked at."""
    return [_underway(record) for record in records[:_MOST_ROWS]]


def more_underway(records: Sequence[Record]) -> int:
    """Return how many requests :func:`underway` leaves out."""
    return max(0, len(records) - _MOST_ROWS)


def _underway(record: Record) -> Underway:
    stage, level = _stage(record)
    return Underway(record.model, whose(record), stage, level, record.began, record.pieces)


def _stage(record: Record) -> tuple[str, Level]:
    if record.first_token is not None:
        return "answering", "live"
    return ("thinking", "") if record.backend else ("arriving", "")


def whose(record: Record) -> str:
    """Return who asks: the key's name and the program, as far as they are known."""
    return " · ".join(filter(None, (record.client.key, record.client.program)))


def processes(found: Iterable[tuple[str, Any]], now: float) -> list[Process]:
    """Return the processes of all backends: those that work first, and then the youngest."""
    rows = [_process(backend, one, now) for backend, one in found]
    return sorted(rows, key=lambda row: (row.level != "live", -row.began))[:_MOST_ROWS]


def _process(backend: str, one: Any, now: float) -> Process:
    cpu = "" if one.cpu is None else f"CPU time {formatting.span(one.cpu)}"
    words = (backend, f"process {one.pid}", cpu, one.session)
    return Process(
        state="answering" if one.state == "asked" else one.state,
        level=_PROCESS_LEVELS.get(one.state, ""),
        model=one.model,
        began=now - one.age,
        turns=one.turns,
        memory=_rounded(one.memory),
        note=", ".join(filter(None, words)),
    )


def _rounded(memory: float | None) -> float | None:
    """Return a size in steps of 4 MB: smaller changes are not worth an update of the page."""
    step = 4 * 2**20
    return None if memory is None else round(memory / step) * step


def processes_line(rows: Sequence[Process]) -> str:
    """Return how many processes there are, and how much memory they have together."""
    if not rows:
        return "none"
    memory = sum(row.memory or 0 for row in rows)
    return f"{len(rows)} · {formatting.size(memory)}" if memory else str(len(rows))
