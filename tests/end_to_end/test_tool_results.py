"""The results of the client's tools: passed on where the call waits, replayed, or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from claude_max_proxy.testing import Reply, ScriptedUpstream, ToolUse
from tests.end_to_end.comparing import asked, seen
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import (
    LOOK,
    MODELS,
    TAKE,
    TOOLS,
    Message,
    Worker,
    by_call,
    called,
    function,
    hear,
    ids,
    live,
    new_model,
    offered,
    openai_client,
    result,
    user,
)


PROXY_TOML = MODELS
# 1 x 1 pixel
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}


RESULTS: dict[str, list[Any]] = {
    "string": ["plain /clear @/etc/hosts"],
    "parts": [[{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]],
    "image": [[{"type": "text", "text": "see:"}, IMAGE]],
    "image alone": [[IMAGE]],
    "several": ["one", [IMAGE, {"type": "text", "text": "after"}], "three"],
    "400 kB": ["x" * 200_000 + "ü" * 200_000],
    "500 kB": ["line of text\n" * 38_461 + "1234567"],
}


@pytest.mark.parametrize("name", RESULTS)
async def test_results_in_place(
    name: str, sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """Results of every form and size arrive unchanged, in the process where the calls wait."""
    model, contents = new_model(), RESULTS[name]
    messages = await called(sdk, model, upstream, *[LOOK] * len(contents))
    messages += [result(one, content) for one, content in zip(ids(messages), contents, strict=True)]

    await hear(sdk, model, messages, tools=TOOLS)

    assert asked(messages) == by_call(seen(upstream))
    assert await live(proxy, model, 2) == [False, True]
    assert len(upstream.requests) == 2


async def test_results_in_another_order(
    sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """Results may come in any order: each goes to its own call."""
    model = new_model()
    calls = await called(sdk, model, upstream, LOOK, TAKE, LOOK)
    in_order = [*calls, *(result(one, f"result of {one}") for one in ids(calls))]
    messages = [*calls, *reversed(in_order[len(calls) :])]

    await hear(sdk, model, messages, tools=TOOLS)

    assert asked(in_order) == by_call(seen(upstream))
    assert await live(proxy, model, 2) == [False, True]


def text_after(messages: list[Message]) -> list[Message]:
    """Answer the call, and say something more."""
    return [*messages, result(ids(messages)[0], "found"), user("/but hurry")]


def larger(messages: list[Message]) -> list[Message]:
    """Answer the call with more than the CLI passes on."""
    return [*messages, result(ids(messages)[0], "y" * 600_000)]


def edited(messages: list[Message]) -> list[Message]:
    """Answer the call in another history."""
    return [user("work harder"), *messages[1:], result(ids(messages)[0], "found")]


def other_arguments(messages: list[Message]) -> list[Message]:
    """Answer the call, but repeat it with other arguments."""
    (call,) = messages[-1]["tool_calls"]
    changed = {**call, "function": {**call["function"], "arguments": '{"where": "there"}'}}
    return [*messages[:-1], {**messages[-1], "tool_calls": [changed]}, result(call["id"], "found")]


def ignored(messages: list[Message]) -> list[Message]:
    """Leave out the call and ask something else."""
    return [*messages[:-1], {"role": "assistant", "content": "Never mind."}, user("go on")]


@pytest.mark.parametrize("follow_up", [text_after, larger, edited, other_arguments, ignored])
async def test_replayed(
    follow_up: Callable[[list[Message]], list[Message]],
    sdk: AsyncOpenAI,
    proxy: RunningProxy,
    upstream: ScriptedUpstream,
) -> None:
    """A follow-up that cannot continue where the call waits is replayed, unchanged, in one request."""
    model = new_model()
    messages = follow_up(await called(sdk, model, upstream, ToolUse("look", {"where": "here"})))

    heard = await hear(sdk, model, messages, tools=TOOLS)

    assert heard.reason == "stop"
    assert asked(messages) == seen(upstream)
    assert await live(proxy, model, 2) == [False, False]
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("name", ["take", "third"])
async def test_other_tools_in_the_follow_up(
    name: str, sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """A follow-up with another tool list is sent with just that, in place if the CLI knows its names."""
    model = new_model()
    messages = await called(sdk, model, upstream, LOOK)
    messages.append(result(ids(messages)[0], "found"))

    upstream.scripted.clear()
    upstream.script(Reply((ToolUse(name, {"x": 1}),)))
    heard = await hear(sdk, model, messages, tools=[function(name, "Now gives.")])

    assert asked(messages) == seen(upstream)
    assert offered(upstream) == [name]
    assert [call["function"]["name"] for call in heard.calls] == [name]
    assert await live(proxy, model, 2) == [False, name == "take"]


async def test_restart(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """A call made before a restart of the proxy accepts its results after it."""
    before = await start_proxy()
    async with openai_client(before) as sdk:
        messages = await called(sdk, "claude-sonnet-4", upstream, LOOK, TAKE)
    await before.end()
    messages += [result(one, "found") for one in ids(messages)]

    after = await start_proxy()
    async with openai_client(after) as sdk:
        heard = await hear(sdk, "claude-sonnet-4", messages, tools=TOOLS)

    assert heard.reason == "stop"
    assert asked(messages) == seen(upstream)


async def test_many_wait(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """Six conversations that wait for results share three processes: all continue, and none blocks."""
    proxy = await start_proxy(max_processes=3)
    async with openai_client(proxy) as sdk:
        workers = [Worker(sdk, "claude-sonnet-4", TOOLS, [user(f"{n} [[tool look]]")]) for n in range(6)]
        for work in workers:
            await work.step()
        assert (await proxy.health())["processes"]["parked"] <= 3
        async with asyncio.timeout(60):
            last = await asyncio.gather(*(work.step() for work in workers))

    assert [heard.reason for heard in last] == ["stop"] * 6
    arrived = [seen(upstream, index) for index in range(6, 12)]
    assert all(work.conversation() in arrived for work in workers)
    assert len(upstream.requests) == 12


# --- what is refused


def without_result(messages: list[Message]) -> list[Message]:
    """Answer only one of the two calls."""
    return [*messages, result(ids(messages)[0], "r")]


def with_none(messages: list[Message]) -> list[Message]:
    """Answer no call."""
    return [*messages, user("go on")]


def with_two(messages: list[Message]) -> list[Message]:
    """Answer one call twice."""
    return [*messages, *(result(one, "r") for one in [*ids(messages), ids(messages)[0]])]


def with_unknown(messages: list[Message]) -> list[Message]:
    """Answer a call that was never made."""
    return [*messages, *(result(one, "r") for one in ids(messages)), result("callX", "r")]


def with_one_id(messages: list[Message]) -> list[Message]:
    """Give both calls the same id."""
    first, second = messages[-1]["tool_calls"]
    calls = [first, {**second, "id": first["id"]}]
    return [
        *messages[:-1],
        {**messages[-1], "tool_calls": calls},
        result(first["id"], "r"),
        result(first["id"], "r"),
    ]


@pytest.mark.parametrize("follow_up", [without_result, with_none, with_two, with_unknown, with_one_id])
async def test_refused_results(
    follow_up: Callable[[list[Message]], list[Message]], sdk: AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    """If results are missing, doubled or unknown, the client is told that it made a mistake, and where."""
    model = new_model()
    messages = follow_up(await called(sdk, model, upstream, LOOK, TAKE))

    with pytest.raises(openai.BadRequestError) as caught:
        await hear(sdk, model, messages, tools=TOOLS)

    assert (caught.value.param or "").startswith("messages")
    assert caught.value.type == "invalid_request_error"
    assert len(upstream.requests) == 1
