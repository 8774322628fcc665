"""The measurements over HTTP: of every proxy, and without a proxy, in turns and in the same run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.http import load
from benchmarks.http.upstream import Upstream
from benchmarks.machine import own_cpu, resident, tree, wait_until_quiet
from benchmarks.program import Program
from benchmarks.table import Say


STREAM_DELTAS = 200
PAUSE = 10
BURST = 5000
_SECONDS = 2.0
_AFTERWARDS = 1.2  # seconds after which the ledger has begun to write what it has gathered
_QUESTIONS = 100


class Samples(msgspec.Struct):
    """All that was measured of one side; times in seconds, sizes in bytes."""

    latency: list[float] = []
    added: list[float] = []
    rate: list[float] = []
    request_cpu: list[float] = []
    delta_cpu: list[float] = []
    burst_cpu: list[float] = []
    burst_wall: list[float] = []
    resident: list[float] = []


Results = dict[str, Samples]
Maker = Callable[[Path, int], Program]


def measure(rounds: int, say: Say, *makers: Maker) -> Results:
    """Measure every side ``rounds`` times, in turns; the ``makers`` make the sides."""
    with _sides(makers) as (upstream, sides):
        results = {name: Samples() for name in ("directly", *(side.name for side in sides))}
        for side in sides:
            _warm_up(side.port)
        for number in range(1, rounds + 1):
            _directly(upstream, results["directly"])
            for side in sides:
                wait_until_quiet(*(other.pid for other in sides))
                _round(side, results["directly"].latency[-1], results[side.name])
                say(_line(number, rounds, side.name, results[side.name]))
        for side in sides:
            results[side.name].resident.append(sum(map(resident, tree(side.pid))))
    return results


@contextmanager
def _sides(makers: Sequence[Maker]) -> Iterator[tuple[int, list[Program]]]:
    """Run the server and all proxies that use it; yield the server's port and the proxies."""
    with (
        tempfile.TemporaryDirectory(prefix="claude-max-bench-", ignore_cleanup_errors=True) as name,
        Upstream() as upstream,
        ExitStack() as stack,
    ):
        sides = [make(Path(name), upstream.port) for make in makers]
        yield upstream.port, [stack.enter_context(side) for side in sides]


def _warm_up(port: int) -> None:
    load.latency(port, _QUESTIONS)
    load.throughput(port, 1.0)
    load.stream(port, 2, STREAM_DELTAS, 1)


def _directly(port: int, samples: Samples) -> None:
    samples.latency.append(load.latency(port, _QUESTIONS))
    count, took = load.throughput(port, _SECONDS)
    samples.rate.append(count / took)


def _round(side: Program, directly: float, samples: Samples) -> None:
    samples.latency.append(load.latency(side.port, _QUESTIONS))
    samples.added.append(samples.latency[-1] - directly)
    before = own_cpu(side.pid)
    count, took = load.throughput(side.port, _SECONDS)
    samples.rate.append(count / took)
    _settle(side)  # what the proxy still does for these requests is their cost, not that of the streams
    samples.request_cpu.append((own_cpu(side.pid) - before) / count)
    before = own_cpu(side.pid)
    load.stream(side.port, load.CLIENTS, STREAM_DELTAS, PAUSE)
    samples.delta_cpu.append((own_cpu(side.pid) - before) / (load.CLIENTS * STREAM_DELTAS))
    before = own_cpu(side.pid)
    samples.burst_wall.append(load.stream(side.port, 1, BURST, 0))
    samples.burst_cpu.append((own_cpu(side.pid) - before) / BURST)


def _settle(side: Program) -> None:
    """Wait until the proxy has written down what it has answered."""
    time.sleep(_AFTERWARDS)  # noqa: TID251
    wait_until_quiet(side.pid)


def _line(number: int, rounds: int, name: str, samples: Samples) -> str:
    rate, delta = samples.rate[-1], samples.delta_cpu[-1] * 1e6
    newest = f"{rate:>6,.0f} requests/s, {delta:>5,.0f} µs a delta"
    medians = f"{median(samples.rate):,.0f}/s, {median(samples.delta_cpu) * 1e6:,.0f} µs"
    return f"  {number:>2}/{rounds}  {name:<22}{newest}   medians so far {medians}"
