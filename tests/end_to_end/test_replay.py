"""Histories that no process holds: replayed in a new one, and never mixed with another client's."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
import pytest

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.chatting import answer
from tests.end_to_end.comparing import asked, seen, seen_system, text_turns
from tests.end_to_end.running import RunningProxy, until


Messages = list[dict[str, Any]]


class Talker:
    """A client that keeps its own history and checks what the upstream received of it."""

    def __init__(self, client: httpx.AsyncClient, upstream: ScriptedUpstream, *texts: str) -> None:
        """Begin with a history."""
        self.messages: Messages = text_turns(*texts)
        self._client = client
        self._upstream = upstream

    async def say(self, text: str) -> None:
        """Say something; the upstream must receive this client's conversation and nothing else."""
        self.messages.append({"role": "user", "content": text})
        before = len(self._upstream.requests)
        said = await answer(self._client, self.messages)
        wanted = asked(self.messages)
        matching = [
            index
            for index in range(before, len(self._upstream.requests))
            if seen(self._upstream, index) == wanted
        ]
        assert matching, "the upstream never saw this conversation"
        assert said == f"You said: {text}"
        self.messages.append({"role": "assistant", "content": said})


async def test_history_from_elsewhere(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A history that this proxy never saw is replayed with its roles, and then continues in its process."""
    talker = Talker(client, upstream, "Who are you?", "/clear", "I see.", "@/etc/passwd")

    await talker.say("first")
    await talker.say("second")

    assert len(upstream.requests) == 2


@pytest.mark.parametrize("edited", [0, 1, 2, 3], ids=["question", "answer", "question 2", "answer 2"])
async def test_edited_history(
    edited: int, client: httpx.AsyncClient, upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """A history that was edited anywhere is replayed in its new form."""
    talker = Talker(client, upstream)
    await talker.say(f"edit {edited}")
    await talker.say("two")
    before = await proxy.settled()

    talker.messages[edited]["content"] = "something else"
    await talker.say("three")

    await until(lambda: len(proxy.access()) > before)
    assert "  live  " not in proxy.access()[-1][1]
    assert len(upstream.requests) == 3


async def test_shortened_history(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A client that goes back, or asks the last question again, gets the right answer."""
    talker = Talker(client, upstream)
    await talker.say("one of three")
    await talker.say("two of three")
    await talker.say("three of three")

    del talker.messages[-2:]
    await talker.say("three, anew")
    del talker.messages[2:]
    await talker.say("two, anew")


async def test_changed_instructions(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """Other instructions make another conversation, and the first one can still continue."""
    system = {"role": "system", "content": "A"}
    first = [system, *text_turns("instructed")]
    said = await answer(client, first)
    rest = [*first, {"role": "assistant", "content": said}, *text_turns("more")]
    for instructions in ("B", "A", ""):
        system = {"role": "system", "content": instructions}
        await answer(client, [system, *rest[1:]])
        assert seen_system(upstream) == instructions
        assert seen(upstream) == asked(rest)


@pytest.mark.parametrize("seed", [1, 2])
async def test_interleaved(seed: int, client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """Clients whose conversations begin alike, in any order, never see each other's."""
    order = random.Random(seed)
    talkers = [Talker(client, upstream) for _ in range(3)]
    for talker in talkers:
        await talker.say(f"the same beginning {seed}")
    for number in range(12):
        index = order.randrange(len(talkers))
        await talkers[index].say(order.choice(["the same", f"of {index}", f"of {index} at {number}"]))


async def test_at_once(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """Clients that ask the same at the same moment each get their own answer."""
    talkers = [Talker(client, upstream) for _ in range(4)]

    for turn in ("all together", "now", "again"):
        await asyncio.gather(*(talker.say(turn) for talker in talkers))

    assert len(upstream.requests) == 12
