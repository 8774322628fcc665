"""Runs three replicas behind HAProxy, lets things go wrong, and accounts for every request.

    python -m tests.cluster --minutes 2 --seed 7

PostgreSQL, three replicas with the real CLI, and HAProxy with `deploy/haproxy.cfg` run on loopback, with
scripted providers that repeat the words that reached them. Clients hold long conversations with tools over
the CLI and over two APIs. One replica is killed, another is drained, and PostgreSQL is away for a while.
Nobody needs an account. Needs Linux, HAProxy and PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import random
import sys
from collections import Counter

from benchmarks.table import Cells, table
from tests import installed_cli
from tests.cluster.counting import strange_ones
from tests.cluster.run import cluster, missing


_CLIENTS = 12


def main() -> int:
    """Run it, and return 1 if something was not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of the traffic"
    )
    parser.add_argument("--cli", default=installed_cli.NEWEST, help="version that the tests know, or path")
    given = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("this runs on Linux only")
    if problem := missing():
        say(f"This needs HAProxy and PostgreSQL: {problem}.\nOn Debian: apt install haproxy postgresql")
        return 1
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # clients of the providers are killed
    command = installed_cli.command(given.cli, say)
    try:
        return asyncio.run(_run(given.minutes * 60, given.seed, command))
    except KeyboardInterrupt:
        say("\nstopped; everything has been ended and removed")
        return 130


async def _run(seconds: float, seed: int, command: str) -> int:
    say(f"{seconds:g} s, --seed {seed}, {_CLIENTS} clients; starting")
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(cluster(command, say))
        await running.traffic(seconds, _CLIENTS, seed)
        found = await running.judged()
    lines: list[Cells] = [(one.name, one.value, one.target, "ok" if one.fine else "NOT SO") for one in found]
    say("\n" + table(("three replicas behind HAProxy", "", "target", ""), lines))
    kinds = Counter(f"{one.kind}: {one.told}" for one in running.counts.of("lost", "wrong", "mixed"))
    for text, count in kinds.most_common(20):
        say(f"    {count} × {text}")
    for one in strange_ones(running.counts, running.replicas[0].killed)[:20]:
        say(f"    not by the kill: {one}")
    return 0 if all(one.fine for one in found) else 1


def say(text: str) -> None:
    """Print something at once."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())
