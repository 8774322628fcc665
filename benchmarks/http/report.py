"""Compares this proxy with LiteLLM's, with the same OpenAI-compatible server, side by side in the same run.

make bench ONLY=http SAMPLES=9
"""

from __future__ import annotations

import msgspec

from benchmarks.http.load import CLIENTS
from benchmarks.http.samples import BURST, PAUSE, STREAM_DELTAS, Results, Samples, measure
from benchmarks.http.sides import IDLE, OURS, PEER, PEER_VERSION, idle, ours, peer
from benchmarks.machine import describe
from benchmarks.table import Row, cells, spread, table
from claude_max_proxy import __version__


_ROWS = (
    Row(f"requests a second, {CLIENTS} clients", "rate", "/s", 1.0, 8.0, least=True),
    Row("added latency, median", "added", "ms", 1e3, 1 / 5),
    Row("own CPU per request", "request_cpu", "µs", 1e6),
    Row(f"own CPU per delta, {CLIENTS} streams", "delta_cpu", "µs", 1e6, 1 / 10),
    Row(f"own CPU per delta, {BURST:,} at once", "burst_cpu", "µs", 1e6),
    Row(f"{BURST:,} deltas at once, wall time", "burst_wall", "ms", 1e3),
    Row("memory", "resident", "MB", 1e-6, 1 / 4),
)
_NOTES = """\
Medians, with the least and the most behind them, the sides in turns. Each of {clients} streams brings
{deltas} deltas, one every {pause} ms, as models do. "Added" is what an answer takes beyond asking the
server itself, which gives {rate}, one in {latency}.
This machine is not quiet: trust the ratios, not the milliseconds."""


def run(samples: int) -> None:
    """Run the benchmark and print the tables."""
    print(
        f"claude-max-proxy {__version__} and the proxy of {PEER} {PEER_VERSION}, both before one fast server"
    )
    print(f"{describe()}, {samples} samples\n")
    results = measure(samples, lambda line: print(line, flush=True), ours, idle, peer)
    print(f"\n{_tables(results)}\n\n{_notes(results['directly'])}")


def _tables(results: Results) -> str:
    mine, idle, theirs = results[OURS], results[IDLE], results[PEER]
    beside = table(("", OURS, PEER, "ratio", "target", ""), [cells(row, mine, theirs) for row in _ROWS])
    without = [msgspec.structs.replace(row, target=None) for row in _ROWS]
    return f"{beside}\n\n" + table(
        ("", IDLE, "without", "ratio", "", ""), [cells(row, idle, mine) for row in without]
    )


def _notes(directly: Samples) -> str:
    rate = spread(directly.rate, Row("", "", "answers/s", 1.0))
    latency = spread(directly.latency, Row("", "", "ms", 1e3))
    return _NOTES.format(clients=CLIENTS, deltas=STREAM_DELTAS, pause=PAUSE, rate=rate, latency=latency)
