"""The pool of processes, with fake processes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli import housekeeping
from claude_max_proxy.backends.claude_cli import memory as memory_module
from claude_max_proxy.backends.claude_cli import pool as pool_module
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.fingerprint import Bound
from claude_max_proxy.backends.claude_cli.pool import Pool
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.rehearsal import Rehearsal
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.used_models import UsedModels
from claude_max_proxy.backends.claude_cli.warming import REFILL_DELAY
from claude_max_proxy.backends.claude_cli.wear import Wear
from claude_max_proxy.errors import BackendUnavailable, Busy
from tests.backends.claude_cli.test_transcript import message, transcript
from tests.end_to_end.running import until


OPUS, SONNET, HAIKU = ProcessKind("opus"), ProcessKind("sonnet"), ProcessKind("haiku")
_pids = itertools.count(1)


class FakeProcess:
    """A process that ends when it is told to, ``linger`` seconds later."""

    def __init__(self, kind: ProcessKind, on_exit: Callable[[Any], None], linger: float) -> None:
        self.kind = kind
        self.pid = next(_pids)
        self.alive = True
        self.killed = False
        self.paused = False
        self.exited = asyncio.Event()
        self.rehearsed = asyncio.Event()
        self._on_exit = on_exit
        self._linger = linger

    async def rehearse(self, rehearsal: Rehearsal) -> None:
        """End it at once."""
        self.rehearsed.set()

    def pause(self) -> None:
        self.paused = True

    def wake(self) -> None:
        self.paused = False

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
    """A conversation in a process, which contains `words`."""

    def __init__(self, process: Any, words: str = "u1 a1", *, pending: bool = False) -> None:
        self.process = process
        self.root = b"root"
        self.bound = Bound()
        self.entries = transcript(*words.split())
        self.movable = True
        self.pending = {"a": "b"} if pending else {}
        self.wear = Wear(process.pid)


async def says(ready: bool) -> bool:
    """Say after a moment whether the turn has settled."""
    await asyncio.sleep(0)
    return ready


class Launcher:
    """Launches fake processes and keeps them; fails as often as ``failures`` says."""

    def __init__(self) -> None:
        self.processes: list[Any] = []
        self.failures = 0
        self.delay = 0.0
        self.linger = 0.0

    async def __call__(self, kind: ProcessKind, on_exit: Callable[[Any], None]) -> Any:
        await asyncio.sleep(self.delay)
        if self.failures:
            self.failures -= 1
            raise BackendUnavailable("no such program")
        process = FakeProcess(kind, on_exit, self.linger)
        self.processes.append(process)
        return process

    @property
    def paused(self) -> list[Any]:
        """The running processes that are stopped."""
        return [process for process in self.processes if process.alive and process.paused]

    @property
    def most(self) -> int:
        """How many are running."""
        return sum(process.alive for process in self.processes)


@asynccontextmanager
async def pool(memory: UsedModels | None = None, **settings: Any) -> AsyncIterator[tuple[Any, Launcher]]:
    """Yield a pool and its launcher; everything is ended afterwards."""
    launch = Launcher()
    memory = memory or UsedModels("claude", Path(os.devnull))
    used = Pool(ClaudeCliSettings(**{"warm": 0, **settings}), launch, lambda _: Rehearsal(), memory)
    try:
        yield used, launch
    finally:
        await used.stop()
        assert launch.most == 0


async def settled() -> None:
    """Let everything run that is due."""
    for _ in range(20):
        await asyncio.sleep(0)
    await asyncio.sleep(0.005)


def started(work: Any) -> asyncio.Task[Any]:
    """Run the work in the background."""
    return asyncio.get_running_loop().create_task(work)


def wanted(kind: ProcessKind, client: str = "me", words: str = "u9", root: bytes = b"root") -> Wanted:
    """Return what a client's request wants."""
    return Wanted(kind, root, Client(address=client), [message(word) for word in words.split()])


def counts(**given: int) -> dict[str, int]:
    """Return a pool's counts; those that are not given are zero."""
    return {"starting": 0, "warm": 0, "busy": 0, "parked": 0, "ending": 0, "queued": 0, **given}


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


async def test_idle_ones_give_way() -> None:
    """A warm process of another kind ends for a request that needs its place."""
    async with pool(max_processes=1, warm_models=["haiku"], warm=1) as (used, launch):
        used.start()
        await settled()
        process = await used.obtain(wanted(OPUS))
        assert process.kind == OPUS
        assert not launch.processes[0].alive
        assert used.crashes == 0


async def test_a_conversation_is_kept_and_taken() -> None:
    """A kept conversation is found by its content, once its turn has settled."""
    async with pool() as (used, _):
        conversation = FakeConversation(await used.obtain(wanted(OPUS)))
        used.park(conversation, Client(), says(True))
        assert used.counts == counts(parked=1)
        found, plan = await used.obtain(wanted(OPUS, words="u1 a1 u2"))
        assert (found, plan.keep, plan.lines) == (conversation, 2, ())
        assert used.counts == counts(busy=1)


async def test_conversations_of_a_revoked_key() -> None:
    """Conversations of removed keys end: those that are kept at once, those in use afterwards."""
    alice, bob = Client("alice", identity="a"), Client("bob", identity="b")
    async with pool() as (used, launch):
        for owner in (alice, alice, bob):
            asked = Wanted(OPUS, b"root", owner, [message("u9")])
            used.park(FakeConversation(await used.obtain(asked), pending=True), owner)
        at_work = FakeConversation(await used.obtain(wanted(OPUS, root=b"others")))
        used.keep_only({"b"})
        await settled()
        assert [process.alive for process in launch.processes] == [False, False, True, True]
        used.park(at_work, alice, says(True))
        await settled()
        assert used.counts == counts(parked=1)
        used.keep_only({"b", "a"})
        used.park(FakeConversation(await used.obtain(wanted(OPUS, root=b"others"))), alice, says(True))
        await settled()
        assert used.counts == counts(parked=2)


async def test_a_used_process_takes_another_conversation() -> None:
    """A request that shares only its instructions gets a used process, whose content is removed."""
    async with pool() as (used, launch):
        conversation = FakeConversation(await used.obtain(wanted(OPUS)))
        used.park(conversation, Client())
        found, plan = await used.obtain(wanted(OPUS))
        assert (found, plan.keep, plan.lines) == (conversation, 0, ("u1",))
        assert len(launch.processes) == 1
        used.park(conversation, Client())
        assert (await used.obtain(wanted(OPUS, root=b"others"))) is launch.processes[1]


@pytest.mark.parametrize("why", ["not ready", "dead"])
async def test_a_conversation_that_cannot_go_on(why: str) -> None:
    """A conversation whose turn did not settle, or whose process died, is not used, and its process ends."""
    async with pool() as (used, launch):
        conversation = FakeConversation(await used.obtain(wanted(OPUS)))
        used.park(conversation, Client(), says(why != "not ready"))
        await settled()
        if why == "dead":
            launch.processes[0].die()
        assert (await used.obtain(wanted(OPUS, words="u1 a1 u2"))) is launch.processes[1]
        await settled()
        assert used.counts == counts(busy=1)


async def test_one_that_turns_out_not_to_be_ready() -> None:
    """A request that chose a conversation before it was ready gets another process if it never is."""
    async with pool() as (used, launch):
        conversation = FakeConversation(await used.obtain(wanted(OPUS)))
        used.park(conversation, Client(), says(False))
        assert (await used.obtain(wanted(OPUS, words="u1 a1 u2"))) is launch.processes[1]


async def test_the_oldest_conversation_gives_way() -> None:
    """A request that needs a place takes that of the conversation that was kept longest."""
    async with pool(max_processes=2) as (used, _):
        first = FakeConversation(await used.obtain(wanted(OPUS)), "u1 a1")
        second = FakeConversation(await used.obtain(wanted(OPUS)), "u2 a2")
        used.park(first, Client())
        used.park(second, Client())
        assert (await used.obtain(wanted(SONNET, "you", root=b"other"))).kind == SONNET
        assert not first.process.alive
        assert (await used.obtain(wanted(OPUS, words="u2 a2 u3")))[0] is second


async def test_keeping_serves_the_queue() -> None:
    """A conversation that is kept while others wait gives up its place if they cannot use it."""
    async with pool(max_processes=1) as (used, _):
        conversation = FakeConversation(await used.obtain(wanted(OPUS)))
        waiting = started(used.obtain(wanted(HAIKU, "you", root=b"other")))
        await settled()
        used.park(conversation, Client())
        async with asyncio.timeout(1):
            assert (await waiting).kind == HAIKU


async def test_who_waits_gets_a_used_process() -> None:
    """Waiting requests use kept processes one after the other, and none is started for them."""
    async with pool(max_processes=1) as (used, launch):
        conversation = FakeConversation(await used.obtain(wanted(OPUS)))
        waiting = [started(used.obtain(wanted(OPUS, name))) for name in ("a", "b", "c")]
        await settled()
        for wait in waiting:
            used.park(conversation, Client())
            async with asyncio.timeout(1):
                assert (await wait)[0] is conversation
        assert len(launch.processes) == 1


@pytest.mark.parametrize("kind", [OPUS, HAIKU])
async def test_who_waits_while_one_is_warmed(kind: ProcessKind) -> None:
    """A process that becomes warm while others wait is used by them, or gives up its place."""
    async with pool(max_processes=1, warm=1, warm_models=["opus"]) as (used, launch):
        launch.delay = 0.05
        used.start()
        await settled()
        waiting = started(used.obtain(wanted(kind)))
        async with asyncio.timeout(1):
            assert (await waiting).kind == kind
        assert len(launch.processes) == (1 if kind == OPUS else 2)


async def test_room_for_a_warm_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many idle conversations, the oldest gives up its place to a warm process after a while."""
    monkeypatch.setattr(pool_module, "_LEFT_ALONE", 0.2)
    async with pool(max_processes=4, warm=1) as (used, launch):
        for number in range(4):
            process = await used.obtain(wanted(OPUS, root=bytes([number])))
            used.refill(OPUS)
            used.park(FakeConversation(process), Client())
        await asyncio.sleep(0.1)
        assert used.counts == counts(parked=4)
        await asyncio.sleep(0.4)
        assert used.counts == counts(parked=3, warm=1)
        assert not launch.processes[0].alive


async def test_who_leaves_in_the_instant_of_being_served() -> None:
    """If a client disconnects at the moment when it is served, its process is there for the next."""
    async with pool(max_processes=1) as (used, _):
        conversation = FakeConversation(await used.obtain(wanted(OPUS)))
        first, second = started(used.obtain(wanted(OPUS, "a"))), started(used.obtain(wanted(OPUS, "b")))
        await settled()
        used.park(conversation, Client())
        first.cancel()
        async with asyncio.timeout(1):
            assert (await second)[0] is conversation


async def test_a_busy_one_that_died() -> None:
    """A process that ends by itself while it is used is counted and frees its place."""
    async with pool(max_processes=1) as (used, launch):
        await used.obtain(wanted(OPUS))
        waiting = started(used.obtain(wanted(OPUS, "you")))
        await settled()
        launch.processes[0].die()
        assert (await waiting).alive
        assert used.crashes == 1


async def test_one_that_was_killed_is_no_crash() -> None:
    """A process that we ended is not counted as one that ended by itself."""
    async with pool() as (used, _):
        (await used.obtain(wanted(OPUS))).kill()
        used.discard(await used.obtain(wanted(OPUS)))
        await settled()
        assert used.crashes == 0
        assert used.counts == counts()


async def test_the_model_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process for the model used last is warm from the start; after days without use, none is."""
    memory = UsedModels("claude", tmp_path)
    async with pool(memory, warm=1) as (used, launch):
        used.start()
        await settled()
        assert [process.kind for process in launch.processes] == [SONNET]
        used.refill(HAIKU)
        await settled()
    assert json.loads((tmp_path / "claude" / "used-models.json").read_text()).keys() == {"haiku"}
    async with pool(UsedModels("claude", tmp_path), warm=1) as (used, launch):
        used.start()
        await settled()
        assert [process.kind for process in launch.processes] == [HAIKU]
    now = time.time()
    monkeypatch.setattr("claude_max_proxy.backends.claude_cli.used_models.time.time", lambda: now + 4 * 86400)
    async with pool(UsedModels("claude", tmp_path), warm=1) as (used, launch):
        used.start()
        await settled()
        assert launch.processes == []


async def test_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while without requests one process is left, the one used last, and it is stopped."""
    monkeypatch.setattr(housekeeping, "_INTERVAL", 0.01)
    monkeypatch.setattr(housekeeping, "_PAUSED_AFTER", 0.05)
    async with pool(warm=1, rest_timeout=0.2) as (used, launch):
        used.start()
        for number, kind in enumerate([OPUS, HAIKU, HAIKU]):
            asked = await used.obtain(wanted(kind, root=bytes([number])))
            used.refill(kind)
            used.park(FakeConversation(asked), Client(), says(True))
        assert await until(lambda: launch.most == 1 and launch.paused)
        assert used.counts == counts(parked=1)
        assert launch.paused == [process for process in launch.processes if process.alive]
        assert launch.paused[0].kind == HAIKU


async def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the memory that all may use together none is started, and idle ones end."""
    monkeypatch.setattr(housekeeping, "_INTERVAL", 0.01)
    monkeypatch.setattr(memory_module, "proportional_memory", lambda _: 300 * 1024**2)
    monkeypatch.setattr(memory_module, "tree", lambda pid: [pid])
    async with pool(max_memory="1GB", warm_models=["opus"]) as (used, launch):
        used.start()
        asked = [await used.obtain(wanted(OPUS, root=bytes([number]))) for number in range(3)]
        await asyncio.sleep(0.05)
        waiting = started(used.obtain(wanted(OPUS, root=b"4")))
        await settled()
        assert used.counts == counts(busy=3, queued=1)
        used.park(FakeConversation(asked[0]), Client())
        assert (await waiting) is launch.processes[3]
        monkeypatch.setattr(memory_module, "proportional_memory", lambda _: 400 * 1024**2)
        used.park(FakeConversation(asked[1]), Client())
        assert await until(lambda: launch.most == 2)


async def test_the_end() -> None:
    """Stopping ends every process, whatever it does, and leaves no request waiting."""
    async with pool(max_processes=2, warm_models=["opus"], warm=1) as (used, launch):
        used.start()
        await settled()
        await used.obtain(wanted(HAIKU, "me"))
        conversation = FakeConversation(await used.obtain(wanted(OPUS)))
        used.park(conversation, Client())
        launch.delay = 30
        waiting = started(used.obtain(wanted(SONNET, "you")))
        await settled()
        await used.stop()
        assert launch.most == 0
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=1)
        assert waiting.done()
