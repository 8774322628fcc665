"""The client's own tools in loops of many steps: called like the model's own, each step in place."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from typing import cast

import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionFunctionToolParam

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.comparing import asked, seen
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import (
    CALL_ID,
    DONE,
    LOOK,
    MODELS,
    TAKE,
    TOOLS,
    Message,
    Worker,
    as_heard,
    as_typed,
    by_call,
    fragments_of,
    hear,
    live,
    new_model,
    openclaw,
    result,
    user,
)


PROXY_TOML = MODELS
TEN_STEPS = (
    Reply((Text("I shall look."), LOOK)),
    Reply((LOOK, TAKE)),
    Reply((ToolUse("look", {}),)),
    Reply((Text("All at once:\n\n"), LOOK, TAKE, ToolUse("Bash", {"command": "exit 1"}))),
    Reply((TAKE,)),
    Reply((ToolUse("take", {}), ToolUse("take", {}))),
    Reply((Text("/clear"), ToolUse("Bash", {"command": '@/etc/hosts "quoted" \\n\n'}))),
    Reply((ToolUse("look", {"nested": {"list": [1, 2.5, None, {"deep": "𝔘"}]}}),)),
    Reply((LOOK, LOOK, LOOK)),
    Reply((Text("Done."),)),
)


def worker(sdk: AsyncOpenAI, hand_back: Callable[[Message], Message] = as_heard) -> Worker:
    """Return a client with three tools and a task."""
    messages = [{"role": "system", "content": "You work."}, user("/loop until it is done")]
    return Worker(sdk, new_model(), TOOLS, messages, hand_back)


async def test_ten_steps(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Ten steps, some with parallel calls, cost ten upstream requests and replay nothing."""
    upstream.script(*TEN_STEPS)
    work = worker(sdk)
    for number, expected in enumerate(TEN_STEPS, start=1):
        heard = await work.step()
        texts = [block.text for block in expected.blocks if isinstance(block, Text)]
        calls = [(block.name, block.input) for block in expected.blocks if isinstance(block, ToolUse)]
        assert "".join(texts) == heard.text
        assert calls == [
            (call["function"]["name"], json.loads(call["function"]["arguments"])) for call in heard.calls
        ]
        assert ("tool_calls" if calls else "stop") == heard.reason
        assert len(upstream.requests) == number
        assert work.conversation() == by_call(seen(upstream))

    assert await live(proxy, work.model, 10) == [False] + [True] * 9
    made = [call["id"] for message in work.messages for call in message.get("tool_calls", [])]
    assert all(CALL_ID.fullmatch(one) for one in made)
    assert len(set(made)) == len(made) == 15


async def test_arguments_are_streamed(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A call begins with its id and name, and its arguments follow in pieces, call after call."""
    upstream.script(Reply((Text("Look:"), LOOK, ToolUse("take", {}), TAKE)))

    heard = await hear(sdk, new_model(), [user("work")], tools=TOOLS)

    pieces = list(fragments_of(heard))
    assert [piece[0][0] for piece in pieces] == [0, 1, 2]
    for (_, call_id, name, arguments), *more in pieces:
        assert CALL_ID.fullmatch(call_id or "")
        assert name in {"look", "take"}
        assert arguments == ""
        assert {(one[1], one[2]) for one in more} == {(None, None)}
    assert [len(piece) > 3 for piece in pieces] == [True, False, True]
    assert heard.calls[1]["function"]["arguments"] == "{}"


async def test_processes_killed(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """The same ten steps arrive unchanged if every process of the CLI is killed between them."""
    upstream.script(*TEN_STEPS)
    work = worker(sdk)
    for number in range(1, 11):
        await work.step()
        assert len(upstream.requests) == number
        assert work.conversation() == seen(upstream)
        for pid in proxy.descendants():
            os.kill(pid, signal.SIGKILL)

    assert await live(proxy, work.model, 10) == [False] * 10


async def test_normalised(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """A client that removes ids and serialises arguments again is still recognised, step by step."""
    upstream.script(*TEN_STEPS)
    work = worker(sdk, openclaw)
    for _ in TEN_STEPS:
        await work.step()
        assert work.conversation() == by_call(seen(upstream))

    assert await live(proxy, work.model, 10) == [False] + [True] * 9
    assert len(upstream.requests) == 10


async def answered(sdk: AsyncOpenAI, model: str, messages: list[Message]) -> ChatCompletion:
    """Ask, and return the whole answer."""
    tools = cast("list[ChatCompletionFunctionToolParam]", TOOLS)
    return await sdk.chat.completions.create(model=model, messages=as_typed(messages), tools=tools)


async def test_whole_replies(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """A loop without streaming is the same: text, calls with whole arguments, results in place."""
    upstream.script(Reply((Text("I shall look."), LOOK, ToolUse("take", {}))), DONE)
    model, messages = new_model(), [user("work")]

    first = (await answered(sdk, model, messages)).choices[0]
    calls = [call for call in first.message.tool_calls or [] if call.type == "function"]
    messages += [first.message.model_dump(exclude_none=True), *(result(call.id, "r") for call in calls)]
    second = (await answered(sdk, model, messages)).choices[0]

    assert (first.finish_reason, first.message.content) == ("tool_calls", "I shall look.")
    assert [json.loads(call.function.arguments) for call in calls] == [LOOK.input, {}]
    assert (second.finish_reason, second.message.content) == ("stop", "Done.")
    assert asked(messages) == by_call(seen(upstream))
    assert await live(proxy, model, 2) == [False, True]


# --- what a model should not do


STRAY = {
    "a tool that nobody offered": ToolUse("nosuch", {"a": 1}),
    "a tool of the CLI's": ToolUse("WebSearch", {"query": "x"}),
    "arguments cut off": ToolUse("look", raw='{"where": "he'),
    "arguments that are no object": ToolUse("look", raw='["here"]'),
    "arguments that are no JSON": ToolUse("look", raw="where: here"),
}


@pytest.mark.parametrize("name", STRAY)
async def test_stray_call(name: str, sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A call that makes no sense is delivered unchanged, asked once, and the next turn works."""
    upstream.script(Reply((Text("Let me see."), STRAY[name]), pace=0.1))
    work = worker(sdk)

    heard = await work.step()
    await asyncio.sleep(0.5)
    asked_once = len(upstream.requests)
    last = await work.step()

    call = STRAY[name]
    assert (heard.text, heard.reason) == ("Let me see.", "tool_calls")
    assert [one["function"]["name"] for one in heard.calls] == [call.name]
    assert heard.calls[0]["function"]["arguments"] == (call.raw or json.dumps(call.input).replace(" ", ""))
    assert asked_once == 1
    assert last.reason == "stop"
    assert len(upstream.requests) == 2
    turns = seen(upstream)
    assert [role for role, _ in turns] == ["user", "assistant", "user"]
    assert turns[2][1][0][2] == [("text", work.messages[-2]["content"])]
