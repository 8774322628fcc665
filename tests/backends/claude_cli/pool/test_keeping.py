"""How the pool keeps conversations, and gives a used process to whoever can use it."""

from __future__ import annotations

import asyncio

import pytest

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli import pool as pool_module
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from tests.backends.claude_cli.pool.pooling import (
    HAIKU,
    OPUS,
    SONNET,
    FakeConversation,
    counts,
    pool,
    says,
    settled,
    started,
    wanted,
)
from tests.backends.claude_cli.test_transcript import message


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
