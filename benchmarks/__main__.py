"""Measures this proxy and others side by side, in the same run. Linux only: times and sizes come from /proc.

::

    make bench                       all of it, 9 samples of everything
    make bench ONLY=cli CLI=newest   compared with the npm tool, both driving the CLI
    make bench ONLY=http             compared with LiteLLM's proxy, both before an OpenAI-compatible server
    make bench ONLY=observers        with all observers (ledger, metrics, …), compared with none
    make bench ONLY=cluster          one, two and three replicas behind HAProxy
    make bench ONLY=shared           with a PostgreSQL that replicas share, compared with none
    make bench ONLY=ledger           what a request costs the ledger, and how fast a million add up
"""

from __future__ import annotations

import argparse
import sys

import benchmarks.cli.report
import benchmarks.cluster.report
import benchmarks.http.observers
import benchmarks.http.report
import benchmarks.http.shared
import benchmarks.ledger.report
from tests.installed_cli import PINNED


def main() -> int:
    """Run the benchmarks that are asked for; return 0 even if a target is missed: the tables say so."""
    if sys.platform != "linux":
        print("The benchmark reads /proc and so runs on Linux only.")
        return 0
    arguments = _arguments()
    if arguments.only in {"", "http"}:
        benchmarks.http.report.run(arguments.samples)
    if arguments.only in {"", "observers"}:
        benchmarks.http.observers.run(arguments.cli, arguments.samples)
    if arguments.only in {"", "shared"}:
        benchmarks.http.shared.run(arguments.samples)
    if arguments.only in {"", "ledger"}:
        benchmarks.ledger.report.run(arguments.samples)
    if arguments.only in {"", "cluster"}:
        benchmarks.cluster.report.run(arguments.samples)
    if arguments.only in {"", "cli"}:
        benchmarks.cli.report.run(arguments.cli, arguments.samples)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        choices=["", "cli", "cluster", "http", "observers", "shared", "ledger"],
        default="",
        help="the one part to run",
    )
    parser.add_argument("--cli", default=PINNED, help="version that the tests know, or path")
    parser.add_argument("--samples", type=int, default=9)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
