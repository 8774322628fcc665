"""Compare this proxy with the npm tool that it replaces, side by side in one run.

    make bench                            the CLI that npm gives on Node 20, 9 samples of everything
    make bench CLI=newest SAMPLES=15      another CLI (one that the tests know, or a path)

Both drive the same CLI against the same scripted API on this machine, each in a home of its own, in turns.
Linux only: times and sizes come from /proc.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks.samples import Results, measure
from benchmarks.sides import PEER, PEER_VERSION, ours, peer
from benchmarks.table import table
from benchmarks.upstream import Upstream
from claude_max_proxy import __version__
from tests.installed_cli import PINNED, command, version


_INHERITED = ("LANG", "PATH", "TMPDIR")
_NOTES = """\
Medians, with the least and the most behind them. Before each sample both sides are left alone until the
pool is warm again and nothing computes. "own CPU" is the proxy process alone, without the CLI; "with the CLI"
is all processes below it too. This machine is not quiet: trust the ratios, not the milliseconds."""


def main() -> int:
    """Run it; the status is 0 also when a target is missed, which the table says."""
    if sys.platform != "linux":
        print("The benchmark reads /proc and so runs on Linux only.")
        return 0
    arguments = _arguments()
    cli = command(arguments.cli)
    print(f"claude-max-proxy {__version__} and {PEER} {PEER_VERSION}, both driving claude {version(cli)}")
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {arguments.samples} samples\n")
    results = _run(cli, arguments.samples)
    print(f"\n{table(results['claude-max-proxy'], results[PEER])}\n\n{_NOTES}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--cli", default=PINNED, help="version that the tests know, or path")
    parser.add_argument("--samples", type=int, default=9)
    return parser.parse_args()


def _run(cli: str, samples: int) -> Results:
    with tempfile.TemporaryDirectory(prefix="claude-max-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        (folder / "bin" / "claude").symlink_to(Path(cli).resolve())
        with Upstream() as upstream:
            inherited = {key: os.environ[key] for key in _INHERITED if key in os.environ}
            environment = {**inherited, **upstream.environment}
            environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"
            with ours(folder, environment) as a, peer(folder, environment) as b:
                return measure([a, b], upstream, samples, lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
