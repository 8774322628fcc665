"""The bounds of one backend over its generations, with pools of fake processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from claude_max_proxy import Client
from tests.backends.claude_cli.pool.pooling import (
    HAIKU,
    OPUS,
    FakeConversation,
    Launcher,
    pool,
    settled,
    started,
    wanted,
)


@asynccontextmanager
async def generations(old: dict[str, Any], new: dict[str, Any]) -> AsyncIterator[tuple[Any, Any, Launcher]]:
    """Yield a pool, its successor, and what the successor launches."""
    async with pool(**old) as (before, _), pool(**new) as (after, launch):
        after.take_over(before)
        yield before, after, launch
        await after.stop()
        await before.stop()


async def test_busy_ones_of_before_count() -> None:
    """What the previous generation still answers takes places from the newer one until it is finished."""
    async with generations({"max_processes": 3}, {"max_processes": 3}) as (before, after, launch):
        busy = [await before.obtain(wanted(OPUS, f"{number}")) for number in range(2)]
        first = await after.obtain(wanted(HAIKU))
        waiting = started(after.obtain(wanted(HAIKU, "other")))
        await settled()
        assert not waiting.done()
        before.discard(busy[0])
        assert (await waiting) in launch.processes
        assert first.alive


async def test_the_bound_is_the_newest() -> None:
    """The limits of the newest generation apply to all at once."""
    async with generations({"max_processes": 1}, {"max_processes": 2}) as (before, after, launch):
        await before.obtain(wanted(OPUS))
        assert (await after.obtain(wanted(OPUS))) in launch.processes
        refused = started(before.obtain(wanted(OPUS, "late")))
        await settled()
        assert not refused.done()
        refused.cancel()


async def test_idle_ones_of_before_go() -> None:
    """When a newer generation begins, the idle processes of the previous one end, and it warms no more."""
    settings = {"max_processes": 4, "warm": 2, "warm_models": ["opus"]}
    async with generations(settings, {"max_processes": 4}) as (before, after, _):
        before.start()
        await settled()
        process = await before.obtain(wanted(OPUS))
        before.park(FakeConversation(process), Client(address="me"))
        after.start()
        await settled()
        assert before.processes == set()
        assert await before.spare(OPUS) is None


async def test_what_is_parked_late_goes_too() -> None:
    """If an answer of the previous generation ends later, its process ends too."""
    async with generations({}, {}) as (before, after, _):
        process = await before.obtain(wanted(OPUS))
        after.start()
        before.park(FakeConversation(process), Client(address="me"))
        await settled()
        assert before.processes == set()


async def test_a_generation_that_cannot_start() -> None:
    """If the newer one ends at once, the previous one warms again."""
    async with generations({"warm": 1, "warm_models": ["opus"]}, {}) as (before, after, _):
        before.start()
        after.start()
        await settled()
        assert await before.spare(OPUS) is None
        await after.stop()
        assert (await before.spare(OPUS)) in before.processes
