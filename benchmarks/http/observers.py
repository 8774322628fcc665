"""Compares this proxy with all its observers with the same proxy without any, in the same run.

make bench ONLY=observers

It is measured over HTTP, where a request costs the proxy little, and through the CLI.
"""

from __future__ import annotations

from benchmarks.cli import observers as through_cli
from benchmarks.http.load import CLIENTS
from benchmarks.http.samples import BURST, measure
from benchmarks.http.sides import SEEN, UNSEEN, seen, unseen
from benchmarks.machine import describe
from benchmarks.table import Row, cells, table
from claude_max_proxy import __version__


_MOST = 1.1
_ROWS = (
    Row(f"requests a second, {CLIENTS} clients", "rate", "/s", 1.0, 1 / _MOST, least=True),
    Row("own CPU per request", "request_cpu", "µs", 1e6),
    Row(f"own CPU per delta, {CLIENTS} streams", "delta_cpu", "µs", 1e6, _MOST),
    Row(f"own CPU per delta, {BURST:,} at once", "burst_cpu", "µs", 1e6, _MOST),
    Row("memory", "resident", "MB", 1e-6),
)


def run(cli: str, samples: int) -> None:
    """Run the benchmark and print the tables."""
    print(f"claude-max-proxy {__version__} with all its observers, and without any")
    print(f"{describe()}, {samples} samples\n")
    results = measure(samples, lambda line: print(line, flush=True), seen, unseen)
    lines = [cells(row, results[SEEN], results[UNSEEN]) for row in _ROWS]
    through = through_cli.measure(cli, (samples + 1) // 2, lambda line: print(line, flush=True))
    more = [cells(row, through[SEEN], through[UNSEEN]) for row in through_cli.ROWS]
    head = ("", SEEN, UNSEEN, "ratio", "target", "")
    print(f"\nover HTTP\n{table(head, lines)}\n\nthrough the CLI\n{table(head, more)}")
