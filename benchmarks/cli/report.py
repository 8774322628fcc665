"""Compares this proxy with the npm tool that it replaces, side by side in the same run.

    make bench ONLY=cli                   the CLI that npm installs on Node 20, 9 samples of everything
    make bench CLI=newest SAMPLES=15      another CLI (one that the tests know, or a path)

Both use the same CLI with the same scripted API on this machine. Each has its own home directory, and they
take turns.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.cli.load import CLIENTS, REST_TOML, measure_load, measure_rest
from benchmarks.cli.samples import DELTAS, LENGTHS, Results, Samples, measure
from benchmarks.cli.sides import OURS, PEER, PEER_VERSION, ours, peer
from benchmarks.cli.tools import PARKED, measure_large, measure_parked, measure_tool_loop
from benchmarks.cli.upstream import Upstream
from benchmarks.machine import describe
from benchmarks.program import INHERITED
from benchmarks.table import Cells, Row, cells, table
from claude_max_proxy import __version__
from tests.installed_cli import command, version


_ROWS = (
    Row("first token, new conversation", "fresh", "ms", 1e3, 1 / 15),
    Row("first token, unseen instructions", "unseen", "ms", 1e3, 1 / 6),
    Row("first token, next turn", "next_turn", "ms", 1e3, 1 / 18),
    Row("first token, answer asked for again", "again", "ms", 1e3),
    Row("first token, newest question changed", "edited", "ms", 1e3),
    *(Row(f"first token, replay of {length}", f"replay_{length}", "ms", 1e3) for length in LENGTHS),
    Row('bytes upstream for "hi"', "hi_bytes", "kB", 1e-3, 1 / 30),
    Row("own CPU per delta", "delta_cpu", "µs", 1e6, 1.0),
    Row(f"{DELTAS:,} deltas, wall time", "stream_wall", "ms", 1e3),
    Row("CPU per request, with the CLI", "request_cpu", "s", 1.0),
    Row(f"answers a second, {CLIENTS} clients", "rate", "", 1.0, 10.0, least=True),
    Row("CPU per answer then, with the CLI", "shot_cpu", "ms", 1e3, 1 / 10),
    Row("memory of the proxy itself", "resident", "MB", 1e-6),
    Row("memory with the CLI, at rest", "at_rest", "MB", 1e-6),
    Row("memory with the CLI, answering", "answering", "MB", 1e-6),
)
_OWN_ROWS = (
    Row("answer asked for again, beside a next turn", "again", "ms", 1e3, 1.5, beside="next_turn"),
    Row("question changed, beside a next turn", "edited", "ms", 1e3, 1.5, beside="next_turn"),
    Row("memory after minutes of rest, all processes", "resting", "MB", 1e-6),
    Row("CPU after minutes of rest, all processes", "rest_cpu", "% of a core", 100.0),
    Row("tool results, beside a plain next turn", "step", "ms", 1e3, 1.5, beside="plain"),
    Row("OpenClaw's size, beside a new conversation", "large", "ms", 1e3, beside="fresh"),
    *(
        Row(f"replay of {length}, beside a new conversation", f"replay_{length}", "ms", 1e3, beside="fresh")
        for length in LENGTHS
    ),
    Row("memory parked with an open call, beside idle", "open_call", "MB", 1e-6, beside="live"),
)
_NOTES = """\
Medians, with the least and the most behind them. Before each sample both sides are left alone until nothing
computes. A "new conversation" has the instructions of the one before it, which are none, an "unseen" one
its own. "Replay of 10" is a history of ten messages that was led elsewhere. "OpenClaw's size" is a new
conversation with 14 tools of 16 kB in all and instructions of 48 kB. "Own CPU" is the proxy process alone,
without the CLI; "with the CLI" is all processes below it too. The second table is this proxy alone: times
are to the first token, memory is what each of {parked} conversations added, what is shared counted once. This
machine is not quiet: trust the ratios, not the milliseconds."""


def run(cli: str, samples: int) -> None:
    """Run the benchmark and print the tables."""
    path = command(cli)
    print(f"claude-max-proxy {__version__} and {PEER} {PEER_VERSION}, both driving claude {version(path)}")
    print(f"{describe()}, {samples} samples\n")
    results = _run(path, samples)
    print(f"\n{_tables(results[OURS], results[PEER])}\n\n{_NOTES.format(parked=PARKED)}")


def _run(cli: str, samples: int) -> Results:
    with tempfile.TemporaryDirectory(prefix="claude-max-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        (folder / "bin" / "claude").symlink_to(Path(cli).resolve())
        with Upstream() as upstream:
            inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
            environment = {**inherited, **upstream.environment}
            environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
            with ours(folder, environment) as a, peer(folder, environment) as b:
                results = measure([a, b], upstream, samples, _say)
                measure_tool_loop(a, results[OURS], samples, _say)
                measure_large(a, results[OURS], samples, _say)
                measure_load([a, b], results, _say)
            measure_rest(lambda: ours(folder, environment, REST_TOML), results[OURS], _say)
            measure_parked(lambda: ours(folder, environment), results[OURS], _say)
    return results


def _say(line: str) -> None:
    print(line, flush=True)


def _tables(mine: Samples, theirs: Samples) -> str:
    lines = [*(cells(row, mine, theirs) for row in _ROWS), _delivery(mine, theirs)]
    own = [cells(row, mine, None) for row in _OWN_ROWS]
    return "\n\n".join(
        (
            table(("", OURS, PEER, "ratio", "target", ""), lines),
            table(("", "", "beside", "ratio", "target", ""), own),
        )
    )


def _delivery(ours: Samples, peer: Samples) -> Cells:
    mine, theirs = min(ours.delivered), min(peer.delivered)
    verdict = "ok" if mine == DELTAS else "MISSED"
    return "deltas delivered", f"{mine:,.0f}", f"{theirs:,.0f}", "", f"{DELTAS:,}", verdict
