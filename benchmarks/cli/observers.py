"""Compares this proxy with all its observers with the same proxy without any, both driving the CLI."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmarks.cli.load import CLIENTS, measure_load
from benchmarks.cli.samples import Results, Samples
from benchmarks.cli.sides import ours
from benchmarks.cli.upstream import Upstream
from benchmarks.http.sides import SEEN, UNSEEN, without_observers
from benchmarks.program import INHERITED
from benchmarks.table import Row, Say
from tests.installed_cli import command


_MOST = 1.1
_BUDGET = "[plugins.budgets.backends.claude]\ntokens_per_day = 1_000_000_000\n"
ROWS = (
    Row(f"answers a second, {CLIENTS} clients", "rate", "/s", 1.0, 1 / _MOST, least=True),
    Row("CPU per answer then, with the CLI", "shot_cpu", "ms", 1e3, _MOST),
)


def measure(cli: str, samples: int, say: Say) -> Results:
    """Let many clients ask both sides ``samples`` times, in turns."""
    results = {SEEN: Samples(), UNSEEN: Samples()}
    with tempfile.TemporaryDirectory(prefix="claude-max-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        (folder / "bin" / "claude").symlink_to(Path(command(cli)).resolve())
        with Upstream() as upstream:
            inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
            environment = {**inherited, **upstream.environment}
            environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
            with (
                ours(folder, environment, _BUDGET, SEEN) as one,
                ours(folder, environment, without_observers(), UNSEEN) as other,
            ):
                for _ in range(samples):
                    measure_load([one, other], results, say)
    return results
