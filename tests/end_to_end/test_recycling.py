"""Processes that are used again: what they remember is reset, and never seen by another client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.chatting import ROUTE, answer, ask, body
from tests.end_to_end.comparing import asked, seen_in, text_turns
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy, proxy_toml, until


Messages = list[dict[str, Any]]
PROCESSES = 3
KEYS = ["key-of-one-client-x", "key-of-another-client"]
KEY_TABLE = f"""
[server.api_keys]
one = "{KEYS[0]}"
another = "{KEYS[1]}"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(
    cli: str, shared_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningProxy]:
    """Run the program with few processes, so that they are used repeatedly."""
    running = RunningProxy(tmp_path_factory.mktemp("home"), shared_upstream.environment())
    settings = {"max_processes": PROCESSES, "queue_timeout": 30}
    try:
        await running.start(proxy_toml(cli, settings, {}))
        yield running
    finally:
        await running.end()


def session_of(upstream: ScriptedUpstream, index: int = -1) -> str:
    """Return which process a request came from: each has its own session."""
    return json.loads(upstream.requests[index].body["metadata"]["user_id"])["session_id"]


def comparable(request: dict[str, Any]) -> str:
    """Return a request's body without the names of the process and its home."""
    return json.dumps({name: value for name, value in request.items() if name != "metadata"})


def without_thoughts(request: dict[str, Any]) -> dict[str, Any]:
    """Return a request without the model's thoughts, which a conversation keeps only in its own process."""
    messages = [
        {**message, "content": [block for block in message["content"] if block["type"] != "thinking"]}
        if isinstance(message["content"], list)
        else message
        for message in request["messages"]
    ]
    return {**request, "messages": messages}


def tool(name: str) -> dict[str, Any]:
    """Return a tool whose definition the CLI's own channel would change."""
    parameters = {"type": "object", "properties": {"city": {"enum": ["Ａ"]}, "b": True}}
    return {
        "type": "function",
        "function": {"name": name, "description": "d" * 5000, "parameters": parameters},
    }


TOOLS: list[list[dict[str, Any]]] = [
    [],
    [tool("zeta"), tool("alpha")],
    [tool("alpha")],
    [tool("Bash"), tool("x.y")],
]


class Client:
    """A client with its own conversation, which it also edits."""

    def __init__(self, number: int, client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
        """Begin with an empty conversation."""
        self._canary = f"canary-{number}"
        self._client = client
        self._upstream = upstream
        self._turns = 0
        self.messages: Messages = []

    async def turn(self, choice: random.Random) -> None:
        """Continue, go back, or start over; and ask, with tools or without."""
        match choice.choice(["on", "on", "again", "edit", "back", "new", "leave"]):
            case "again" if self.messages:
                self.messages.pop()
            case "edit" if len(self.messages) > 1:
                del self.messages[-2:]
                self._say(choice)
            case "back" if self.messages:
                del self.messages[choice.randrange(0, len(self.messages), 2) :]
                self._say(choice)
            case "new":
                self.messages = []
                self._say(choice)
            case "leave":
                self._say(choice)
                await self._leave(choice)
            case _:
                self._say(choice)
        await self._ask(choice.choice(TOOLS))

    def _say(self, choice: random.Random) -> None:
        self._turns += 1
        words = choice.choice(["", "/clear", "[[think hm]] [[say ok]]", "@/etc/passwd"])
        self.messages.append({"role": "user", "content": f"{words} {self._canary} {self._turns}"})

    async def _leave(self, choice: random.Random) -> None:
        """Ask, and disconnect at any moment."""
        slow = [*self.messages[:-1], {"role": "user", "content": f"[[pace 0.02 100]] {self._canary}"}]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(choice.random() * 0.3):
                await ask(self._client, slow, stream=choice.choice([True, False]))

    async def _ask(self, tools: list[dict[str, Any]]) -> None:
        before = len(self._upstream.requests)
        fields = {"tools": tools} if tools else {}
        said = await answer(self._client, self.messages, **fields)
        mine = [
            request
            for request in self._upstream.requests[before:]
            if self._canary in json.dumps(request.body)
            and "[[pace" not in json.dumps(request.body["messages"][-1:])
        ]
        assert mine, "the upstream was not asked"
        text = json.dumps(mine[-1].body)
        assert text.count("canary-") == json.dumps(self.messages).count(self._canary), "another's words"
        assert seen_in(without_thoughts(mine[-1].body)) == asked(self.messages)
        parameters = [one["function"]["parameters"] for one in tools]
        assert [one["input_schema"] for one in mine[-1].body["tools"]] == parameters
        self.messages.append({"role": "assistant", "content": said})


@pytest.mark.parametrize("seed", range(4))
async def test_any_interleaving(
    seed: int, client: httpx.AsyncClient, upstream: ScriptedUpstream, proxy: RunningProxy
) -> None:
    """Clients that continue, go back, edit, start over, change tools and disconnect never see each other."""
    choice = random.Random(seed)
    clients = [Client(seed * 10 + number, client, upstream) for number in range(5)]
    for _ in range(20):
        await choice.choice(clients).turn(choice)
    for _ in range(4):
        await asyncio.gather(*(one.turn(choice) for one in clients))

    assert len({session_of(upstream, index) for index in range(len(upstream.requests))}) <= 2 * PROCESSES
    assert "problem" not in await proxy.health()
    assert "crashes" not in await proxy.health()


async def test_a_used_process_is_as_a_fresh_one(
    upstream: ScriptedUpstream, start_proxy: StartProxy, tmp_path: Path
) -> None:
    """After anything that was said, failed or broke off, a process sends the same as a new one."""
    used = await start_proxy(max_processes=1, temporary=tmp_path)
    question = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What now?"}]
    before: list[dict[str, Any]] = [
        {"messages": [question[0], *text_turns("one", "A.", "two", "B.", "three")]},
        {"messages": [question[0], *text_turns("[[think hm]] [[say x]]")], "reasoning_effort": "high"},
        {"messages": [question[0], *text_turns("[[status 400 no]]")]},
        {
            "messages": [question[0], *text_turns("[[tool zeta {}]]")],
            "tools": TOOLS[1],
            "tool_choice": "auto",
        },
        {"messages": [question[0], *text_turns("[[max_tokens]] [[say cut]]")], "max_tokens": 2},
        {"messages": [question[0], *text_turns("x")], "temperature": 0.5, "stop": ["Z"], "max_tokens": 99},
    ]
    async with used.client() as at_used:
        for fields in before:
            await at_used.post(ROUTE, json={"model": "claude-sonnet-4", **fields})
            await answer(at_used, question)
        sessions = {session_of(upstream, index) for index in range(len(upstream.requests))}
        recycled = comparable(upstream.requests[-1].body)
    fresh = await start_proxy(temporary=tmp_path)
    async with fresh.client() as at_fresh:
        await answer(at_fresh, question)

    assert len(sessions) == 1
    assert recycled == comparable(upstream.requests[-1].body)


async def test_one_process_for_many(upstream: ScriptedUpstream, start_proxy: StartProxy) -> None:
    """Several conversations in turn use one process, and each sends the provider one request."""
    proxy = await start_proxy(max_processes=2)
    async with proxy.client() as client:
        for number in range(30):
            assert await answer(client, f"number {number}") == f"You said: number {number}"

    assert len(upstream.requests) == 30
    assert len({session_of(upstream, index) for index in range(30)}) == 1


async def test_keys_are_apart(upstream: ScriptedUpstream, start_proxy: StartProxy) -> None:
    """A process that served one API key never serves another, even if they ask the same."""
    proxy = await start_proxy(more=KEY_TABLE, max_processes=4)
    sessions: dict[str, set[str]] = {key: set() for key in KEYS}
    async with proxy.client() as client:
        for _ in range(4):
            for key in KEYS:
                response = await client.post(
                    ROUTE, json=body("the same"), headers={"authorization": f"Bearer {key}"}
                )
                assert response.status_code == 200
                sessions[key].add(session_of(upstream))

    assert [len(found) for found in sessions.values()] == [1, 1]
    assert sessions[KEYS[0]] != sessions[KEYS[1]]


@pytest.mark.parametrize(
    "says", ["[[pace 0.02 500]]", "[[hang 5]] hi", "[[hang 0]]", "[[tool zeta {}]] [[pace 1 9]]"]
)
async def test_who_leaves_costs_no_process(
    says: str, upstream: ScriptedUpstream, start_proxy: StartProxy
) -> None:
    """After clients that disconnect at any moment, the same process answers the next, with one request."""
    proxy = await start_proxy(max_processes=1)
    choice = random.Random(says)
    async with proxy.client() as client:
        await answer(client, "first")
        for _ in range(8):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01 + choice.random() * 0.2):
                    await ask(client, says, tools=TOOLS[1], stream=True)
            assert await answer(client, "next") == "You said: next"

    left = [request for request in upstream.requests if says in json.dumps(request.body)]
    assert len(left) <= 8
    assert len({session_of(upstream, index) for index in range(len(upstream.requests))}) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_the_end_of_a_long_answer(
    stream: bool, upstream: ScriptedUpstream, start_proxy: StartProxy
) -> None:
    """After an answer that a limit or an invalid call cut off, nothing is sent; its process continues."""
    proxy = await start_proxy(max_processes=1)
    async with proxy.client() as client:
        await answer(client, "first")
        for says in ("[[max_tokens]] [[say cut off here]]", "[[tool nobodys {}]]"):
            for _ in range(5):
                response = await ask(client, says, max_tokens=3, stream=stream)
                assert response.status_code == 200
                assert await answer(client, "next") == "You said: next"
    await asyncio.sleep(0.5)

    assert len(upstream.requests) == 21
    assert len({session_of(upstream, index) for index in range(21)}) == 1


def state_of(pid: int) -> str:
    """Return the state of a process as the system shows it: T for stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_idle_processes_are_stopped(upstream: ScriptedUpstream, start_proxy: StartProxy) -> None:
    """An idle process uses no CPU time; it wakes for the next request, and none survives the proxy."""
    proxy = await start_proxy(max_processes=2, warm_models=["haiku"])
    tools = TOOLS[1]
    async with proxy.client() as client:
        called = (await ask(client, "[[tool zeta {}]]", tools=tools)).json()["choices"][0]["message"]
        assert await until(lambda: [state_of(pid) for pid in proxy.descendants()] == ["T", "T"], 20)
        result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "done"}
        assert await answer(client, [*text_turns("[[tool zeta {}]]"), called, result], tools=tools)
        assert await until(lambda: [state_of(pid) for pid in proxy.descendants()] == ["T", "T"], 20)
    assert len({session_of(upstream, index) for index in range(2)}) == 1

    await proxy.stop(signal.SIGKILL)
    assert await until(lambda: not proxy.descendants(), 5)
