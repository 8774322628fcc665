"""Measures many clients at the same time, and none: answers per second, their cost, and the cost of rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from benchmarks.cli.chat import ask
from benchmarks.cli.samples import Results, Samples, check
from benchmarks.cli.sides import Side
from benchmarks.machine import tree_cpu, tree_share
from benchmarks.table import Say


CLIENTS = 16
_SECONDS = 10.0
_WARM_UP = 5.0
_REST = 30.0  # longer than the idle time after which the proxy, as configured here, stops its processes
REST_TOML = "[backends.claude]\nrest_timeout = 10.0\n"
_WATCHED = 30.0


def measure_load(sides: list[Side], results: Results, say: Say) -> None:
    """Let many clients begin one new conversation after another, for a while on each side."""
    for side in sides:
        for other in sides:
            other.rest()
        _shots(side, _WARM_UP)
        before, began = tree_cpu(side.pid), time.monotonic()
        count = _shots(side, _SECONDS)
        taken = time.monotonic() - began
        results[side.name].rate.append(count / taken)
        results[side.name].shot_cpu.append((tree_cpu(side.pid) - before) / count)
        say(f"  {side.name:<22}{CLIENTS} clients: {count / taken:.1f} answers a second")


def measure_rest(start: Callable[[], Side], samples: Samples, say: Say) -> None:
    """Ask a few questions, leave the proxy alone, and then measure what it uses."""
    with start() as side:
        for number in range(4):
            ask(side.client, [{"role": "user", "content": f"hi {number}"}])
        say(f"  {side.name:<22}left alone for {_REST + _WATCHED:.0f} s")
        time.sleep(_REST)  # noqa: TID251
        samples.resting.append(tree_share(side.pid))
        before = tree_cpu(side.pid)
        time.sleep(_WATCHED)  # noqa: TID251
        samples.rest_cpu.append((tree_cpu(side.pid) - before) / _WATCHED)


def _shots(side: Side, seconds: float) -> int:
    """Return how many answers the clients get in ``seconds``; answers that have begun are waited for."""
    until = time.monotonic() + seconds

    def client(number: int) -> int:
        count = 0
        with httpx.Client(base_url=side.client.base_url, trust_env=False) as http:
            while time.monotonic() < until:
                text = f"client {number} at {count}"
                check(ask(http, [{"role": "user", "content": text}]), f"You said: {text}", exact=True)
                count += 1
        return count

    with ThreadPoolExecutor(CLIENTS) as threads:
        return sum(threads.map(client, range(CLIENTS)))
