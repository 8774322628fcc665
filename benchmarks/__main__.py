"""Measure this proxy beside others, side by side in one run. Linux only: times and sizes come from /proc.

make bench                            all of it, 9 samples of everything
make bench ONLY=cli CLI=newest        beside the npm tool, both driving the CLI
make bench ONLY=http SAMPLES=15       beside LiteLLM's proxy, both before an OpenAI-compatible server
"""

from __future__ import annotations

import argparse
import sys

import benchmarks.cli.report
import benchmarks.http.report
from tests.installed_cli import PINNED


def main() -> int:
    """Run what is asked for; the status is 0 also when a target is missed, which the tables say."""
    if sys.platform != "linux":
        print("The benchmark reads /proc and so runs on Linux only.")
        return 0
    arguments = _arguments()
    if arguments.only in {"", "http"}:
        benchmarks.http.report.run(arguments.samples)
    if arguments.only in {"", "cli"}:
        benchmarks.cli.report.run(arguments.cli, arguments.samples)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["", "cli", "http"], default="", help="the one part to run")
    parser.add_argument("--cli", default=PINNED, help="version that the tests know, or path")
    parser.add_argument("--samples", type=int, default=9)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
