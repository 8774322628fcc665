"""Compares one, two and three replicas behind HAProxy, and one without, in the same run.

make bench ONLY=cluster
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.http import load
from benchmarks.http.sides import ours
from benchmarks.http.upstream import Upstream
from benchmarks.machine import describe, own_cpu, wait_until_quiet
from benchmarks.program import Program
from benchmarks.table import Cells, table
from claude_max_proxy import __version__
from tests.haproxy import haproxy, missing


_NAMES = ("proxy-0", "proxy-1", "proxy-2")
_CLIENTS = 48
_SECONDS = 3.0


class Side(msgspec.Struct):
    """Replicas and the port at which clients reach them, with all that was measured of them.

    ``balancer`` is the process id of their HAProxy, if there is one. ``cpu`` is the CPU time of all replicas
    for each request, and ``balancing`` that of HAProxy, in seconds.
    """

    name: str
    port: int
    replicas: list[Program]
    balancer: int | None = None
    rate: list[float] = []
    cpu: list[float] = []
    balancing: list[float] = []


def run(samples: int) -> None:
    """Run the benchmark and print the table."""
    if problem := missing():
        print(f"The benchmark of several replicas is left out: {problem}.")
        return
    print(f"claude-max-proxy {__version__}: replicas behind HAProxy, {_CLIENTS} clients over HTTP")
    print(f"{describe()}, {samples} samples; all of it runs on this machine\n")
    with _sides() as sides:
        for side in sides:
            load.throughput(side.port, 1.0, _CLIENTS)
        for number in range(1, samples + 1):
            for side in sides:
                _measure(side)
                print(
                    f"  {number:>2}/{samples}  {side.name:<24}{side.rate[-1]:>7,.0f} requests/s", flush=True
                )
    head = ("", "requests/s", "ratio", "CPU per request: replicas", "HAProxy", "")
    print("\n" + table(head, [_line(side, sides[1]) for side in sides]))


@contextmanager
def _sides() -> Iterator[list[Side]]:
    """Run three replicas, and an HAProxy for each number of them."""
    with (
        tempfile.TemporaryDirectory(prefix="claude-max-bench-", ignore_cleanup_errors=True) as folder,
        Upstream() as upstream,
        ExitStack() as stack,
    ):
        replicas = [stack.enter_context(ours(Path(folder), upstream.port, name)) for name in _NAMES]
        sides = [Side("one, without HAProxy", replicas[0].port, replicas[:1])]
        for number in range(1, len(replicas) + 1):
            those = replicas[:number]
            balancer = stack.enter_context(haproxy({one.name: f"127.0.0.1:{one.port}" for one in those}))
            name = f"{number} behind HAProxy"
            sides.append(Side(name, balancer.port, those, balancer.pid))
        yield sides


def _measure(side: Side) -> None:
    wait_until_quiet(*(replica.pid for replica in side.replicas))

    def spent() -> tuple[float, float]:
        cpu = sum(own_cpu(replica.pid) for replica in side.replicas)
        return cpu, own_cpu(side.balancer) if side.balancer else 0.0

    before = spent()
    count, took = load.throughput(side.port, _SECONDS, _CLIENTS)
    after = spent()
    side.rate.append(count / took)
    side.cpu.append((after[0] - before[0]) / count)
    side.balancing.append((after[1] - before[1]) / count)


def _line(side: Side, one: Side) -> Cells:
    def told(values: list[float], say: Callable[[float], str]) -> str:
        return f"{say(median(values))} ({say(min(values))} to {say(max(values))})"

    return (
        side.name,
        told(side.rate, lambda value: f"{value:,.0f}"),
        f"{median(side.rate) / median(one.rate):.2f}",
        told(side.cpu, lambda value: f"{value * 1e6:,.0f} µs"),
        told(side.balancing, lambda value: f"{value * 1e6:,.0f} µs") if side.balancer else "–",
        "",
    )
