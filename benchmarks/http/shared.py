"""Compares this proxy with ``[shared]`` with the same proxy without it, in the same run.

Both are measured without limits, and with a budget, of which a busy replica leases a part now and then.

make bench ONLY=shared
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.http.load import CLIENTS
from benchmarks.http.samples import measure
from benchmarks.http.sides import BUDGET, ours
from benchmarks.machine import describe
from benchmarks.program import Program
from benchmarks.table import Row, cells, table
from claude_max_proxy import __version__
from tests.postgresql import missing, postgresql


_ALONE, _SHARED = "alone", "shared"
_ALONE_BUDGET, _SHARED_BUDGET = "alone, a budget", "shared, a budget"
_MOST = 1.15
_LATENCY = Row("an answer takes", "latency", "ms", 1e3)
_RATE = Row(f"requests a second, {CLIENTS} clients", "rate", "/s", 1.0, least=True)
_CPU = Row("own CPU per request", "request_cpu", "µs", 1e6, _MOST)

_MEMORY = Row("memory", "resident", "MB", 1e-6)


def run(samples: int) -> None:
    """Run the benchmark and print the tables."""
    if reason := missing():
        print(f"The benchmark of [shared] needs PostgreSQL: {reason}.")
        return
    print(f"claude-max-proxy {__version__} with [shared], and without it")
    print(f"{describe()}, {samples} samples\n")
    with postgresql() as server:
        sides = (
            partial(_side, _ALONE, ""),
            partial(_side, _SHARED, _toml(server.new_database())),
            partial(_side, _ALONE_BUDGET, BUDGET),
            partial(_side, _SHARED_BUDGET, BUDGET + _toml(server.new_database())),
        )
        results = measure(samples, lambda line: print(line, flush=True), *sides)
    for one, other, rows in (
        (_SHARED, _ALONE, (_LATENCY, _RATE, _CPU, _MEMORY)),
        (_SHARED_BUDGET, _ALONE_BUDGET, (_LATENCY, _RATE, _CPU, _MEMORY)),
    ):
        lines = [cells(row, results[one], results[other]) for row in rows]
        print("\n" + table(("", one, other, "ratio", "target", ""), lines))


def _side(name: str, toml: str, folder: Path, upstream: int) -> Program:
    return ours(folder, upstream, name, toml=toml)


def _toml(url: str) -> str:
    return f'\n[shared]\nurl = "{url}"\n\n[plugins.openai_responses]\nstore = false\n'
