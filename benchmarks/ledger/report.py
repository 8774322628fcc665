"""Measures the ledger: what a request costs, and how long a million requests take to add up.

make bench ONLY=ledger
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks.machine import describe
from benchmarks.table import table
from claude_max_proxy import Client, Record, Usage, __version__
from claude_max_proxy.ledger import Ledger, Row, Where, keeping, queries
from claude_max_proxy.ledger.database import Database


ROWS = 1_000_000
DAYS = 90
RECORDS = 10_000
_BATCH = 5000
_DAY = 86_400
_QUERY_TARGET = 100  # milliseconds
_RECORD_TARGET = 30  # microseconds
_KEYS = [f"key-{number}" for number in range(20)]
_MODELS = [f"model-{number}" for number in range(8)]
_PROGRAMS = [f"program/{number}" for number in range(5)]


def run(samples: int) -> None:
    """Run the benchmark and print its table."""
    print(f"claude-max-proxy {__version__}: the ledger with {ROWS:,} requests in {DAYS} days, SQLite")
    print(f"{describe()}, {samples} samples\n")
    with tempfile.TemporaryDirectory() as folder:
        on_loop, on_thread = asyncio.run(_record_cost(Path(folder), samples))
        database = _filled(Path(folder))
        lines = [_line("CPU per request on the answering loop", on_loop, on_loop, "µs", _RECORD_TARGET)]
        lines += [_line("CPU per request on the ledger's thread", on_thread, on_thread, "µs", None)]
        for name, ask in _questions(database).items():
            times, cpu = _times(ask, samples)
            lines.append(_line(name, times, cpu, "ms", _QUERY_TARGET))
        database.close()
    print("\n" + table(("", "median", "most", "CPU", "target", ""), lines))


def _line(
    name: str, samples: list[float], cpu: list[float], unit: str, target: float | None
) -> tuple[str, ...]:
    shown = [f"{value:.1f} {unit}" for value in (median(samples), max(samples), median(cpu))]
    if target is None:
        return name, *shown, "", ""
    return name, *shown, f"{target} {unit}", "ok" if median(samples) <= target else "MISSED"


def _times(ask: Callable[[], object], samples: int) -> tuple[list[float], list[float]]:
    """Return the milliseconds that a question takes, and those of CPU time, which others do not prolong."""
    times, cpu = [], []
    for _ in range(samples):
        began, spent = time.perf_counter(), time.thread_time()
        ask()
        times.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.thread_time() - spent) * 1e3)
    return times, cpu


def _questions(database: Database) -> dict[str, Callable[[], object]]:
    now = time.time()
    whole = now - DAYS * _DAY
    usage = partial(queries.usage, database)
    one = Where(key=_KEYS[3])
    return {
        "by day": lambda: usage("day", whole, now, Where()),
        "by key": lambda: usage("key", whole, now, Where()),
        "by model": lambda: usage("model", whole, now, Where()),
        "by program": lambda: usage("program", whole, now, Where()),
        "one key by day": lambda: usage("day", whole, now, one),
        "one key by model": lambda: usage("model", whole, now, one),
        "one model by key": lambda: usage("key", whole, now, Where(model=_MODELS[2])),
        "one key's month, for a budget": lambda: queries.spent(database, now - 30 * _DAY, one),
        "the newest 100 requests": lambda: queries.requests(database, Where(), 100, None),
        "the newest 100 of one key": lambda: queries.requests(database, one, 100, None),
        "by session, a day": lambda: usage("session", now - _DAY, now, Where()),
    }


def _filled(folder: Path) -> Database:
    database = Database(f"sqlite:///{folder / 'big.sqlite'}")
    now, began = time.time(), time.monotonic()

    def say(what: str, done: int, of: int) -> None:
        if done * 10 // of > (done - 1) * 10 // of or done == of:
            size = sum(file.stat().st_size for file in folder.glob("big*")) / 1e6
            print(f"  {what} {done:,} of {of:,}, {size:.0f} MB, {time.monotonic() - began:.0f} s", flush=True)

    rows, batches = _rows(now), ROWS // _BATCH
    for number in range(1, batches + 1):
        keeping.write(database, list(islice(rows, _BATCH)))
        say("batches written:", number, batches)
    hours = keeping.due(database, now)
    for number, hour in enumerate(hours, 1):
        keeping.sum_up(database, hour)
        say("hours summed up:", number, len(hours))
    return database


def _rows(now: float) -> Iterator[Row]:
    """Yield requests that are spread evenly, the oldest first; most names come with most others."""
    chance = random.Random(7)
    for number in range(ROWS):
        key = chance.randrange(len(_KEYS))
        yield Row(
            id=f"{number:032x}",
            began=now - DAYS * _DAY * (1 - number / ROWS),
            key=_KEYS[key],
            program=_PROGRAMS[(key + chance.randrange(2)) % len(_PROGRAMS)],
            session=f"session-{number // 20}",
            dialect="openai-chat",
            path="/v1/chat/completions",
            model=chance.choice(_MODELS),
            backend=f"backend-{number % 2}",
            input_tokens=chance.randrange(1000),
            output_tokens=chance.randrange(1000),
            cache_read_tokens=chance.randrange(10_000),
            price=chance.random(),
        )


async def _record_cost(folder: Path, samples: int) -> tuple[list[float], list[float]]:
    """Return the CPU microseconds that a record costs the thread that adds it, and all other threads."""
    ledger = Ledger(f"sqlite:///{folder / 'small.sqlite'}", 0, folder=folder)
    ledger.add(_record(0, 0))
    await ledger.flush()
    added, written = [], []
    for sample in range(1, samples + 1):
        spent, others = 0.0, time.process_time() - time.thread_time()
        for begin in range(0, RECORDS, 100):
            records = [_record(sample, begin + number) for number in range(100)]
            before = time.thread_time()
            for record in records:
                ledger.add(record)
            spent += time.thread_time() - before
            await asyncio.sleep(0.02)
        added.append(spent / RECORDS * 1e6)
        await ledger.flush()
        others = time.process_time() - time.thread_time() - others
        written.append(others / RECORDS * 1e6)
    state = ledger.state()
    assert (state.lost, state.written) == (0, samples * RECORDS + 1), state
    await ledger.close()
    return added, written


def _record(sample: int, number: int) -> Record:
    client = Client(_KEYS[number % 20], "program", "127.0.0.1", "session")
    usage = Usage(100, 200, 300)
    return Record("opus", "claude-opus-4-5", "claude", client=client, usage=usage, id=f"{sample}-{number}")
