"""The pool of processes, with processes that only pretend."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from claude_max_proxy import BackendUnavailable, Busy, Client
from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.backends.claude_cli.pool import REFILL_DELAY, Pool
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings


OPUS, SONNET, HAIKU = Kind("opus"), Kind("sonnet"), Kind("haiku")
_pids = itertools.count(1)


class FakeProcess:
    """A process that ends when it is told to, ``linger`` seconds later."""

    def __init__(self, kind: Kind, on_exit: Callable[[Any], None], linger: float) -> None:
        self.kind = kind
        self.pid = next(_pids)
        self.alive = True
        self.killed = False
        self.exited = asyncio.Event()
        self.rehearsed = asyncio.Event()
        self._on_exit = on_exit
        self._linger = linger

    async def rehearse(self, rehearsal: Rehearsal) -> None:
        """Be done with it at once."""
        self.rehearsed.set()

    def die(self) -> None:
        if self.alive:
            self.alive = False
            self.exited.set()
            self._on_exit(self)

    def kill(self) -> None:
        self.killed = True
        self.die()

    async def end(self, *, idle: bool = False) -> None:
        await asyncio.sleep(self._linger)
        self.die()

    async def exits_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self.exited.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def last_words(self) -> str:
        return "exit status 1"


class FakeConversation:
    """A conversation in a process, settled with ``ready``."""

    def __init__(self, process: Any, *, ready: bool = True, pending: bool = False) -> None:
        self.process = process
        self.pending = {"a": "b"} if pending else {}
        self._ready = ready

    async def settle(self) -> bool:
        await asyncio.sleep(0)
        return self._ready


class Launcher:
    """Launches fakes and keeps them; fails as often as ``failures`` says."""

    def __init__(self) -> None:
        self.processes: list[Any] = []
        self.failures = 0
        self.delay = 0.0
        self.linger = 0.0

    async def __call__(self, kind: Kind, on_exit: Callable[[Any], None]) -> Any:
        await asyncio.sleep(self.delay)
        if self.failures:
            self.failures -= 1
            raise BackendUnavailable("no such program")
        process = FakeProcess(kind, on_exit, self.linger)
        self.processes.append(process)
        return process

    @property
    def most(self) -> int:
        """How many are alive."""
        return sum(process.alive for process in self.processes)


@asynccontextmanager
async def pool(**settings: Any) -> AsyncIterator[tuple[Any, Launcher]]:
    """A pool and what it launches; everything is over afterwards."""
    launch = Launcher()
    used = Pool(ClaudeCliSettings(**{"warm_models": [], **settings}), launch, lambda _: Rehearsal())
    try:
        yield used, launch
    finally:
        await used.stop()
        assert launch.most == 0


async def settled() -> None:
    """Let everything happen that is due."""
    for _ in range(20):
        await asyncio.sleep(0)
    await asyncio.sleep(0.005)


def started(work: Any) -> asyncio.Task[Any]:
    """Work in the background."""
    return asyncio.get_running_loop().create_task(work)


def counts(**given: int) -> dict[str, int]:
    """How a pool stands, the rest being nothing."""
    return {"starting": 0, "warm": 0, "busy": 0, "parked": 0, "ending": 0, "queued": 0, **given}


async def test_a_cold_start() -> None:
    """Without a warm process one is started."""
    async with pool() as (used, launch):
        process = await used.lease(OPUS, "me")
        assert launch.processes == [process]
        assert used.counts == counts(busy=1)


async def test_warm_ones_are_there_before_they_are_needed() -> None:
    """The configured models are warmed, and a lease takes what is warm."""
    async with pool(warm_models=["opus", "haiku"], warm=2) as (used, launch):
        used.start()
        await settled()
        assert used.counts == counts(warm=4)
        process = await used.lease(OPUS, "me")
        assert process in launch.processes[:4]
        assert used.counts == counts(warm=3, busy=1)
        used.refill(OPUS)
        await settled()
        assert used.counts == counts(warm=3, busy=1)  # the answer has the machine to itself for a moment
        await asyncio.sleep(REFILL_DELAY + 0.1)
        assert used.counts == counts(warm=4, busy=1)


async def test_a_warm_one_that_died() -> None:
    """A warm process that has ended is not given; it is counted, and another is started."""
    async with pool(warm_models=["opus"]) as (used, launch):
        used.start()
        await settled()
        launch.processes[0].die()
        process = await used.lease(OPUS, "me")
        assert process.alive
        assert used.crashes == 1


async def test_another_kind_is_not_given() -> None:
    """A warm process stands in only for its own kind."""
    async with pool(warm_models=["haiku"]) as (used, _):
        used.start()
        await settled()
        assert (await used.lease(OPUS, "me")).kind == OPUS


async def test_there_are_never_too_many() -> None:
    """However many ask, only so many processes live; every one is served in the end."""
    async with pool(max_processes=3, warm_models=["opus"]) as (used, launch):
        used.start()
        launch.linger = 0.001
        peak = 0

        async def ask(number: int) -> None:
            nonlocal peak
            process = await used.lease(OPUS if number % 2 else HAIKU, f"client-{number % 5}")
            peak = max(peak, launch.most)
            await asyncio.sleep(0.001)
            used.refill(process.kind)
            used.discard(process)

        async with asyncio.timeout(10):
            await asyncio.gather(*(ask(number) for number in range(40)))
        assert 2 <= peak <= 3


async def test_the_queue_is_bounded() -> None:
    """When the queue is full the answer is a 429 with the time to wait."""
    async with pool(max_processes=1, queue_size=1) as (used, _):
        process = await used.lease(OPUS, "me")
        waiting = started(used.lease(OPUS, "me"))
        await settled()
        assert used.counts == counts(busy=1, queued=1)
        with pytest.raises(Busy, match="queue is full") as caught:
            await used.lease(OPUS, "you")
        assert (caught.value.status, caught.value.retry_after) == (429, 10)
        used.discard(process)
        assert (await waiting).alive


async def test_the_wait_is_bounded() -> None:
    """Who waits too long gets a 429, and takes no place with it."""
    async with pool(max_processes=1, queue_timeout=0.01) as (used, _):
        process = await used.lease(OPUS, "me")
        with pytest.raises(Busy, match=r"within 0\.01 s"):
            await used.lease(OPUS, "me")
        used.discard(process)
        await settled()
        assert used.counts == counts()
        assert (await used.lease(OPUS, "me")).alive


async def test_who_leaves_the_queue() -> None:
    """A client that hangs up while it waits takes no place with it."""
    async with pool(max_processes=1) as (used, _):
        process = await used.lease(OPUS, "me")
        first, second = started(used.lease(OPUS, "a")), started(used.lease(OPUS, "b"))
        await settled()
        first.cancel()
        await settled()
        used.discard(process)
        assert (await second).alive
        assert used.counts == counts(busy=1)


async def test_the_queue_is_fair() -> None:
    """A client with one request does not wait for all of another's."""
    async with pool(max_processes=1) as (used, _):
        process = await used.lease(OPUS, "greedy")
        served = []

        async def ask(client: str) -> None:
            given = await used.lease(OPUS, client)
            served.append(client)
            used.discard(given)

        tasks = [started(ask(client)) for client in ["greedy"] * 3 + ["modest"]]
        await settled()
        used.discard(process)
        await asyncio.gather(*tasks)
        assert served.index("modest") <= 1


async def test_a_start_that_fails() -> None:
    """A process that cannot be started is an error, and its place is free again for who waits."""
    async with pool(max_processes=1) as (used, launch):
        launch.failures, launch.delay = 1, 0.01
        first, second = started(used.lease(OPUS, "a")), started(used.lease(OPUS, "b"))
        with pytest.raises(BackendUnavailable):
            await first
        async with asyncio.timeout(1):
            assert (await second).alive


async def test_warming_that_fails() -> None:
    """A process that cannot be warmed is not tried again at once, and a lease still tries."""
    async with pool(warm_models=["opus"]) as (used, launch):
        launch.failures = 1
        used.start()
        await settled()
        assert (launch.processes, used.counts) == ([], counts())
        assert (await used.lease(OPUS, "me")).alive


async def test_idle_ones_give_way() -> None:
    """A warm process of another kind ends for who needs its place."""
    async with pool(max_processes=1, warm_models=["haiku"]) as (used, launch):
        used.start()
        await settled()
        process = await used.lease(OPUS, "me")
        assert process.kind == OPUS
        assert not launch.processes[0].alive
        assert used.crashes == 0


async def test_a_conversation_is_parked_and_taken() -> None:
    """A parked conversation is found by its fingerprint, once its turn has settled."""
    async with pool() as (used, _):
        conversation = FakeConversation(await used.lease(OPUS, "me"))
        used.park(conversation, b"x", Client(), settle=True)
        assert used.counts == counts(parked=1)
        assert await used.take(b"y", Client()) is None
        assert await used.take(b"x", Client()) is conversation
        assert used.counts == counts(busy=1)
        assert await used.take(b"x", Client()) is None


@pytest.mark.parametrize("why", ["not ready", "dead"])
async def test_a_conversation_that_cannot_go_on(why: str) -> None:
    """A conversation whose turn did not settle, or whose process died, is not given."""
    async with pool() as (used, launch):
        conversation = FakeConversation(await used.lease(OPUS, "me"), ready=why != "not ready")
        used.park(conversation, b"x", Client(), settle=True)
        await settled()
        if why == "dead":
            launch.processes[0].die()
        assert await used.take(b"x", Client()) is None
        await settled()
        assert used.counts == counts()


async def test_the_oldest_conversation_gives_way() -> None:
    """Who needs a place takes that of the conversation parked longest ago."""
    async with pool(max_processes=2) as (used, _):
        first = FakeConversation(await used.lease(OPUS, "me"))
        second = FakeConversation(await used.lease(OPUS, "me"))
        used.park(first, b"1", Client(), settle=False)
        used.park(second, b"2", Client(), settle=False)
        assert (await used.lease(SONNET, "you")).kind == SONNET
        assert not first.process.alive
        assert await used.take(b"2", Client()) is second


async def test_parking_serves_the_queue() -> None:
    """A conversation that is parked while others wait gives its place to them."""
    async with pool(max_processes=1) as (used, _):
        conversation = FakeConversation(await used.lease(OPUS, "me"))
        waiting = started(used.lease(HAIKU, "you"))
        await settled()
        used.park(conversation, b"1", Client(), settle=False)
        async with asyncio.timeout(1):
            assert (await waiting).kind == HAIKU


async def test_a_busy_one_that_died() -> None:
    """A process that ends by itself while it is used is counted and frees its place."""
    async with pool(max_processes=1) as (used, launch):
        await used.lease(OPUS, "me")
        waiting = started(used.lease(OPUS, "you"))
        await settled()
        launch.processes[0].die()
        assert (await waiting).alive
        assert used.crashes == 1


async def test_one_that_was_killed_is_no_crash() -> None:
    """A process that we ended is not counted as one that ended by itself."""
    async with pool() as (used, _):
        (await used.lease(OPUS, "me")).kill()
        used.discard(await used.lease(OPUS, "me"))
        await settled()
        assert used.crashes == 0
        assert used.counts == counts()


async def test_the_end() -> None:
    """Stopping ends every process, whatever it does, and lets nobody wait."""
    async with pool(max_processes=2, warm_models=["opus"]) as (used, launch):
        used.start()
        await settled()
        await used.lease(HAIKU, "me")
        conversation = FakeConversation(await used.lease(OPUS, "me"))
        used.park(conversation, b"x", Client(), settle=False)
        launch.delay = 30
        waiting = started(used.lease(SONNET, "you"))
        await settled()
        await used.stop()
        assert launch.most == 0
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=1)
        assert waiting.done()
