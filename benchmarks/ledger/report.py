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
        cost = asyncio.run(_record_cost(Path(folder), samples))
        began = time.monotonic()
        database = _filled(Path(folder))
        print(f"written and summed up in {time.monotonic() - began:.0f} s, ", end="")
        print(f"{sum(file.stat().st_size for file in Path(folder).glob('big*')) / 1e6:.0f} MB\n")
        lines = [_line("CPU per request on the answering loop", cost, "µs", _RECORD_TARGET)]
        for name, ask in _questions(database).items():
            lines.append(_line(name, _times(ask, samples), "ms", _QUERY_TARGET))
        database.close()
    print(table(("", "median", "most", "target", ""), lines))


def _line(name: str, samples: list[float], unit: str, target: float) -> tuple[str, ...]:
    verdict = "ok" if median(samples) <= target else "MISSED"
    return name, f"{median(samples):.1f} {unit}", f"{max(samples):.1f} {unit}", f"{target} {unit}", verdict


def _times(ask: Callable[[], object], samples: int) -> list[float]:
    found = []
    for _ in range(samples):
        began = time.perf_counter()
        ask()
        found.append((time.perf_counter() - began) * 1e3)
    return found


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
    now = time.time()
    rows: list[Row] = []
    for row in _rows(now):
        rows.append(row)
        if len(rows) == _BATCH:
            keeping.write(database, rows)
            rows = []
    keeping.write(database, rows)
    for hour in keeping.due(database, now):
        keeping.sum_up(database, hour)
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


async def _record_cost(folder: Path, samples: int) -> list[float]:
    """Return the CPU microseconds that a record costs the thread that adds it, while they are written."""
    ledger = Ledger(f"sqlite:///{folder / 'small.sqlite'}", 0, folder=folder)
    ledger.add(_record(0, 0))
    await ledger.flush()
    found = []
    for sample in range(1, samples + 1):
        spent = 0.0
        for begin in range(0, RECORDS, 100):
            records = [_record(sample, begin + number) for number in range(100)]
            before = time.thread_time()
            for record in records:
                ledger.add(record)
            spent += time.thread_time() - before
            await asyncio.sleep(0.02)
        found.append(spent / RECORDS * 1e6)
        await ledger.flush()
    state = ledger.state()
    assert (state.lost, state.written) == (0, samples * RECORDS + 1), state
    await ledger.close()
    return found


def _record(sample: int, number: int) -> Record:
    client = Client(_KEYS[number % 20], "program", "127.0.0.1", "session")
    usage = Usage(100, 200, 300)
    return Record("opus", "claude-opus-4-5", "claude", client=client, usage=usage, id=f"{sample}-{number}")
