"""How the pool starts processes, keeps warm ones, and lets clients wait for a place."""

from __future__ import annotations

import asyncio

import pytest

from claude_max_proxy.backends.claude_cli.warming import REFILL_DELAY
from claude_max_proxy.errors import BackendUnavailable, Busy
from tests.backends.claude_cli.pool.pooling import (
    HAIKU,
    OPUS,
    counts,
    pool,
    settled,
    started,
    wanted,
)


async def test_a_cold_start() -> None:
    """Without a warm process one is started."""
    async with pool() as (used, launch):
        process = await used.obtain(wanted(OPUS))
        assert launch.processes == [process]
        assert used.counts == counts(busy=1)


async def test_warm_ones_are_there_before_they_are_needed() -> None:
    """The configured models are warmed, and a request gets a warm process."""
    async with pool(warm_models=["opus", "haiku"], warm=2) as (used, launch):
        used.start()
        await settled()
        assert used.counts == counts(warm=4)
        process = await used.obtain(wanted(OPUS))
        assert process in launch.processes[:4]
        assert used.counts == counts(warm=3, busy=1)
        used.refill(OPUS)
        await settled()
        assert used.counts == counts(warm=3, busy=1)  # the answer has the machine to itself for a moment
        await asyncio.sleep(REFILL_DELAY + 0.1)
        assert used.counts == counts(warm=4, busy=1)


async def test_a_warm_one_that_died() -> None:
    """A warm process that has ended is not used; it is counted, and another is started."""
    async with pool(warm_models=["opus"], warm=1) as (used, launch):
        used.start()
        await settled()
        launch.processes[0].die()
        process = await used.obtain(wanted(OPUS))
        assert process.alive
        assert used.crashes == 1


async def test_another_kind_is_not_given() -> None:
    """A warm process is only used for its own kind."""
    async with pool(warm_models=["haiku"], warm=1) as (used, _):
        used.start()
        await settled()
        assert (await used.obtain(wanted(OPUS))).kind == OPUS


async def test_there_are_never_too_many() -> None:
    """However many requests come, the number of processes is bounded; all are served in the end."""
    async with pool(max_processes=3, warm_models=["opus"], warm=1) as (used, launch):
        used.start()
        launch.linger = 0.001
        peak = 0

        async def ask(number: int) -> None:
            nonlocal peak
            process = await used.obtain(
                wanted(OPUS if number % 2 else HAIKU, f"client-{number % 5}", root=bytes([number]))
            )
            peak = max(peak, launch.most)
            await asyncio.sleep(0.001)
            used.refill(process.kind)
            used.discard(process)

        async with asyncio.timeout(10):
            await asyncio.gather(*(ask(number) for number in range(40)))
        assert 2 <= peak <= 3


async def test_the_queue_is_bounded() -> None:
    """If the queue is full, the answer is a 429 with the time to wait."""
    async with pool(max_processes=1, queue_size=1) as (used, _):
        process = await used.obtain(wanted(OPUS))
        waiting = started(used.obtain(wanted(OPUS)))
        await settled()
        assert used.counts == counts(busy=1, queued=1)
        with pytest.raises(Busy, match="queue is full") as caught:
            await used.obtain(wanted(OPUS))
        assert (caught.value.status, caught.value.retry_after) == (429, 10)
        used.discard(process)
        assert (await waiting).alive


async def test_a_place_in_the_queue_is_each_clients_own() -> None:
    """A client that asks a lot gives way: its newest request gets the 429, and others get their turn."""
    async with pool(max_processes=1, queue_size=2) as (used, _):
        process = await used.obtain(wanted(OPUS))
        first, second = started(used.obtain(wanted(OPUS))), started(used.obtain(wanted(OPUS)))
        await settled()
        other = started(used.obtain(wanted(OPUS, "you")))
        with pytest.raises(Busy, match="others wait"):
            await second
        assert used.counts == counts(busy=1, queued=2)
        for waiting in (first, other):
            used.discard(process)
            process = await waiting


async def test_the_wait_is_bounded() -> None:
    """A request that waits too long gets a 429, and keeps no place."""
    async with pool(max_processes=1, queue_timeout=0.01) as (used, _):
        process = await used.obtain(wanted(OPUS))
        with pytest.raises(Busy, match=r"within 0\.01 s"):
            await used.obtain(wanted(OPUS))
        used.discard(process)
        await settled()
        assert used.counts == counts()
        assert (await used.obtain(wanted(OPUS))).alive


async def test_who_leaves_the_queue() -> None:
    """A client that disconnects while it waits keeps no place."""
    async with pool(max_processes=1) as (used, _):
        process = await used.obtain(wanted(OPUS))
        first, second = started(used.obtain(wanted(OPUS, "a"))), started(used.obtain(wanted(OPUS, "b")))
        await settled()
        first.cancel()
        await settled()
        used.discard(process)
        assert (await second).alive
        assert used.counts == counts(busy=1)


async def test_the_queue_is_fair() -> None:
    """A client with one request does not wait for all of another's."""
    async with pool(max_processes=1) as (used, _):
        process = await used.obtain(wanted(OPUS, "greedy"))
        served = []

        async def ask(client: str) -> None:
            given = await used.obtain(wanted(OPUS, client))
            served.append(client)
            used.discard(given)

        tasks = [started(ask(client)) for client in ["greedy"] * 3 + ["modest"]]
        await settled()
        used.discard(process)
        await asyncio.gather(*tasks)
        assert served.index("modest") <= 1


async def test_a_start_that_fails() -> None:
    """If a process cannot be started, that is an error, and its place is free again for waiting requests."""
    async with pool(max_processes=1) as (used, launch):
        launch.failures, launch.delay = 1, 0.01
        first, second = started(used.obtain(wanted(OPUS, "a"))), started(used.obtain(wanted(OPUS, "b")))
        with pytest.raises(BackendUnavailable):
            await first
        async with asyncio.timeout(1):
            assert (await second).alive


async def test_warming_that_fails() -> None:
    """A kind that cannot be warmed is not tried again at once, and a request still tries."""
    async with pool(warm_models=["opus"], warm=1) as (used, launch):
        launch.failures = 1
        used.start()
        await settled()
        assert (launch.processes, used.counts) == ([], counts())
        assert (await used.obtain(wanted(OPUS))).alive
