"""The client's own tools: called by the model as its own, their results handed over where the call waits."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.comparing import asked, seen
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import (
    CALL_ID,
    MODELS,
    Message,
    Worker,
    as_heard,
    by_call,
    fragments_of,
    function,
    hear,
    live,
    new_model,
    offered,
    openai_client,
    openclaw,
    result,
    user,
)


PROXY_TOML = MODELS
# 1 x 1 pixel
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
TOOLS = [function("look", "Looks."), function("take", "Takes."), function("Bash", "Is the client's own.")]
LOOK, TAKE = ToolUse("look", {"where": "here", "deep": True}), ToolUse("take", {"count": 2, "of": ["a", "ü"]})
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
ONE_CALL = Reply((ToolUse("look", {"where": "here"}),))
DONE = Reply((Text("Done."),))
ODD_NAMES = [
    "a name with spaces",
    "files.read",
    "files:read",
    "größe",
    "名前",
    "Bash",
    "Read",
    "mcp__c__look",
    "StructuredOutput",
    "ToolSearch",
    "x" * 200,
    "x" * 199 + "y",
    "plain",
]


@pytest_asyncio.fixture(loop_scope="module")
async def sdk(proxy: RunningProxy) -> AsyncIterator[AsyncOpenAI]:
    """Give the OpenAI SDK's client for the shared proxy."""
    async with openai_client(proxy) as client:
        yield client


def worker(sdk: AsyncOpenAI, hand_back: Callable[[Message], Message] = as_heard) -> Worker:
    """Make a client with three tools and something to do."""
    messages = [{"role": "system", "content": "You work."}, user("/work until it is done")]
    return Worker(sdk, new_model(), TOOLS, messages, hand_back)


async def called(sdk: AsyncOpenAI, model: str, upstream: ScriptedUpstream, *calls: ToolUse) -> list[Message]:
    """Ask so that these calls wait for their results; give the messages so far."""
    upstream.script(Reply(calls), DONE)
    messages = [user("work")]
    heard = await hear(sdk, model, messages, tools=TOOLS)
    assert heard.reason == "tool_calls"
    return [*messages, heard.message]


def ids(messages: list[Message]) -> list[str]:
    """Name the calls of the last message."""
    return [call["id"] for call in messages[-1]["tool_calls"]]


# --- loops


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
    """The same ten steps arrive equal when every process of the CLI is killed between them."""
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
    """A client that strips ids and writes arguments anew is still recognised, step by step."""
    upstream.script(*TEN_STEPS)
    work = worker(sdk, openclaw)
    for _ in TEN_STEPS:
        await work.step()
        assert work.conversation() == by_call(seen(upstream))

    assert await live(proxy, work.model, 10) == [False] + [True] * 9
    assert len(upstream.requests) == 10


async def test_whole_replies(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """A loop without streaming is the same: text, calls with whole arguments, results in place."""
    upstream.script(Reply((Text("I shall look."), LOOK, ToolUse("take", {}))), DONE)
    model, messages = new_model(), [user("work")]

    first = (await sdk.chat.completions.create(model=model, messages=messages, tools=TOOLS)).choices[0]
    calls = first.message.tool_calls or []
    messages += [first.message.model_dump(exclude_none=True), *(result(call.id, "r") for call in calls)]
    second = (await sdk.chat.completions.create(model=model, messages=messages, tools=TOOLS)).choices[0]

    assert (first.finish_reason, first.message.content) == ("tool_calls", "I shall look.")
    assert [json.loads(call.function.arguments) for call in calls] == [LOOK.input, {}]
    assert (second.finish_reason, second.message.content) == ("stop", "Done.")
    assert asked(messages) == by_call(seen(upstream))
    assert await live(proxy, model, 2) == [False, True]


# --- results


RESULTS = {
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
    """Results of every form and size arrive as they are, in the process where the calls wait."""
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
    """Answer the call, of another history."""
    return [user("work harder"), *messages[1:], result(ids(messages)[0], "found")]


def other_arguments(messages: list[Message]) -> list[Message]:
    """Answer the call, as if other arguments had been given."""
    (call,) = messages[-1]["tool_calls"]
    changed = {**call, "function": {**call["function"], "arguments": '{"where": "there"}'}}
    return [*messages[:-1], {**messages[-1], "tool_calls": [changed]}, result(call["id"], "found")]


def ignored(messages: list[Message]) -> list[Message]:
    """Forget the call and ask something else."""
    return [*messages[:-1], {"role": "assistant", "content": "Never mind."}, user("go on")]


@pytest.mark.parametrize("follow_up", [text_after, larger, edited, other_arguments, ignored])
async def test_replayed(
    follow_up: Callable[[list[Message]], list[Message]],
    sdk: AsyncOpenAI,
    proxy: RunningProxy,
    upstream: ScriptedUpstream,
) -> None:
    """What cannot go on where the call waits is replayed, and arrives equal with one request."""
    model = new_model()
    messages = follow_up(await called(sdk, model, upstream, ToolUse("look", {"where": "here"})))

    heard = await hear(sdk, model, messages, tools=TOOLS)

    assert heard.reason == "stop"
    assert asked(messages) == seen(upstream)
    assert await live(proxy, model, 2) == [False, False]
    assert len(upstream.requests) == 2


async def test_other_tools_in_the_follow_up(
    sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """A follow-up with another tool list is replayed with exactly that list."""
    model = new_model()
    messages = await called(sdk, model, upstream, LOOK)
    messages.append(result(ids(messages)[0], "found"))

    await hear(sdk, model, messages, tools=[function("take", "Now gives.")])

    assert asked(messages) == seen(upstream)
    assert offered(upstream) == ["take"]
    assert await live(proxy, model, 2) == [False, False]


async def test_restart(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """A call made before a restart of the proxy takes its results after it."""
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
    """Six conversations that wait for results share three processes: all go on, and none blocks."""
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
    """Answer but one of the two calls."""
    return [*messages, result(ids(messages)[0], "r")]


def with_none(messages: list[Message]) -> list[Message]:
    """Answer no call."""
    return [*messages, user("go on")]


def with_two(messages: list[Message]) -> list[Message]:
    """Answer one call twice."""
    return [*messages, *(result(one, "r") for one in [*ids(messages), ids(messages)[0]])]


def with_unknown(messages: list[Message]) -> list[Message]:
    """Answer a call that nobody made."""
    return [*messages, *(result(one, "r") for one in ids(messages)), result("callX", "r")]


@pytest.mark.parametrize("follow_up", [without_result, with_none, with_two, with_unknown])
async def test_refused_results(
    follow_up: Callable[[list[Message]], list[Message]], sdk: AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    """Results that are missing, doubled or unknown are the client's mistake, and it is told where."""
    model = new_model()
    messages = follow_up(await called(sdk, model, upstream, LOOK, TAKE))

    with pytest.raises(openai.BadRequestError) as caught:
        await hear(sdk, model, messages, tools=TOOLS)

    assert (caught.value.param or "").startswith("messages")
    assert caught.value.type == "invalid_request_error"
    assert len(upstream.requests) == 1


# --- names and lists


async def test_odd_names(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Any name can be offered, is called under exactly that name, and stays apart from all others."""

    def call_all(body: dict[str, Any]) -> Reply:
        names = {tool["description"]: tool["name"] for tool in body["tools"]}
        results = [block for block in body["messages"][-1]["content"] if block["type"] == "tool_result"]
        spoken = any(message["role"] == "assistant" for message in body["messages"])
        if results or spoken:
            return DONE
        return Reply(tuple(ToolUse(names[name], {"name": name}) for name in ODD_NAMES))

    upstream.answer_with(call_all)
    work = Worker(sdk, new_model(), [function(name, name) for name in ODD_NAMES], [user("call all")])
    heard, last = await work.step(), await work.step()

    assert [call["function"]["name"] for call in heard.calls] == ODD_NAMES
    assert last.text == "Done."
    assert await live(proxy, work.model, 2) == [False, True]
    names = offered(upstream)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", name) for name in names)
    assert len(set(names)) == len(ODD_NAMES)
    upstream_calls = [block for block in seen(upstream)[1][1] if block[0] == "call"]
    assert [block[3]["name"] for block in upstream_calls] == ODD_NAMES

    edited = [user("call all of them"), *work.messages[1:-1], user("again")]
    await hear(sdk, work.model, edited, tools=work.tools)
    replayed = [block for block in seen(upstream)[1][1] if block[0] == "call"]
    assert replayed == upstream_calls


async def test_names_and_ids_of_the_past(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """Calls of tools that are no longer offered, under anybody's ids, arrive as the API takes them."""
    call_ids = ["functions.look:0", "functions.look:1", "é", "call_1", "x" * 60 + ":0", "x" * 60 + ":1"]
    names = ["files.read", "größe", "look", "a b", "a.b", "x" * 200]
    calls = [
        {"id": one, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for one, name in zip(call_ids, names, strict=True)
    ]
    messages = [
        user("work"),
        {"role": "assistant", "content": None, "tool_calls": calls},
        *(result(one, f"result of {one}") for one in reversed(call_ids)),
        user("go on"),
    ]

    await hear(sdk, new_model(), messages)

    _, (_, made), (_, results) = seen(upstream)
    blocks = upstream.requests[0].body["messages"]
    uses = [block for turn in blocks for block in turn["content"] if isinstance(block, dict)]
    uses = [block for block in uses if block["type"] == "tool_use"]
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]) for block in uses)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", block["name"]) for block in uses)
    assert [block[1] for block in made] == list(range(6))
    assert len({block[2] for block in made}) == 6
    expected = [("result", 5 - n, [("text", f"result of {call_ids[5 - n]}")]) for n in range(6)]
    assert results == [*expected, ("text", "go on")]


# What a CLI of its own has tools for; it must not take a client's for one of those.
BUILT_IN = [
    "Agent",
    "AskUserQuestion",
    "Bash",
    "BashOutput",
    "Edit",
    "EnterPlanMode",
    "ExitPlanMode",
    "Glob",
    "Grep",
    "KillShell",
    "LS",
    "MultiEdit",
    "NotebookEdit",
    "Read",
    "Skill",
    "SlashCommand",
    "Task",
    "TaskCreate",
    "TaskList",
    "TaskUpdate",
    "TodoWrite",
    "WebFetch",
    "WebSearch",
    "Write",
]


async def test_named_like_the_clis_own(
    sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """Tools named like all of the CLI's own are the client's, and bring none of the CLI's words along."""
    replies = [Reply((ToolUse(name, {"command": "exit 1", "file_path": "/etc/hosts"}),)) for name in BUILT_IN]
    upstream.script(*replies, DONE)
    work = Worker(sdk, new_model(), [function(name, "The client's.") for name in BUILT_IN], [user("work")])
    for name in BUILT_IN:
        heard = await work.step()
        assert [call["function"]["name"] for call in heard.calls] == [name]
    await work.step()

    assert work.conversation() == seen(upstream)
    assert await live(proxy, work.model, len(BUILT_IN) + 1) == [False] + [True] * len(BUILT_IN)
    assert [tool["description"] for tool in upstream.requests[-1].body["tools"]] == ["The client's."] * len(
        BUILT_IN
    )


async def test_a_hundred_tools(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A hundred tools with 200 kB of schemas arrive unchanged, and with them none of the CLI's own."""
    tools = [
        function(
            f"tool_{number}",
            f"Does {number}.\n  @/etc/hosts ‘ü’ " * 5,
            {
                "type": "object",
                "properties": {
                    f"p{field}": {"type": ["string", "null"], "description": "ü" * 60, "enum": ["a", None]}
                    for field in range(14)
                },
                "required": ["p1", "p0"],
                "additionalProperties": False,
                "$defs": {"node": {"$ref": "#/$defs/node"}},
            },
        )
        for number in range(100)
    ]
    assert len(json.dumps(tools, ensure_ascii=False).encode()) > 200_000
    upstream.script(Reply((ToolUse("tool_57", {"p0": "a"}),)))

    heard = await hear(sdk, new_model(), [user("choose")], tools=tools)

    expected = {
        tool["function"]["name"]: (tool["function"]["description"], tool["function"]["parameters"])
        for tool in tools
    }
    arrived = upstream.requests[0].body["tools"]
    assert expected == {tool["name"]: (tool["description"], tool["input_schema"]) for tool in arrived}
    assert len(arrived) == 100
    assert [call["function"]["name"] for call in heard.calls] == ["tool_57"]


async def test_no_tools(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """Who offers no tools gets none of the CLI's own."""
    await hear(sdk, new_model(), [user("hi")])

    assert offered(upstream) == []


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
    """A call that makes no sense is delivered as it is, asked once, and the next turn works."""
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


# --- the API's first form of tools


@pytest.mark.parametrize("stream", [False, True])
async def test_legacy_functions(stream: bool, sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """`functions` are called by `function_call`, one at a time, and take their results."""
    upstream.script(Reply((ToolUse("look", {"where": "here"}),)))
    functions = [tool["function"] for tool in TOOLS]
    messages: list[Message] = [user("work")]

    call, reason = await _legacy(sdk, messages, functions, stream=stream)
    messages += [
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "look", "content": "found"},
    ]
    _, last = await _legacy(sdk, messages, functions, stream=stream)

    assert (call["name"], json.loads(call["arguments"]), reason) == (
        "look",
        {"where": "here"},
        "function_call",
    )
    assert last == "stop"
    assert seen(upstream) == [
        ("user", [("text", "work")]),
        ("assistant", [("call", 0, "look", {"where": "here"})]),
        ("user", [("result", 0, [("text", "found")])]),
    ]
    choices = [request.body["tool_choice"] for request in upstream.requests]
    assert choices == [{"type": "auto", "disable_parallel_tool_use": True}] * 2


async def _legacy(
    sdk: AsyncOpenAI, messages: list[Message], functions: list[dict[str, Any]], *, stream: bool
) -> tuple[dict[str, str], str | None]:
    """Ask in the first form; give the call and the reason."""
    fields: dict[str, Any] = {"model": "claude-sonnet-4", "messages": messages, "functions": functions}
    if not stream:
        choice = (await sdk.chat.completions.create(**fields, function_call="auto")).choices[0]
        call = choice.message.function_call
        return ({"name": call.name, "arguments": call.arguments} if call else {}), choice.finish_reason

    heard, reason = {"name": "", "arguments": ""}, None
    async for chunk in await sdk.chat.completions.create(**fields, function_call="auto", stream=True):
        delta = chunk.choices[0].delta
        if delta.function_call is not None:
            heard["name"] += delta.function_call.name or ""
            heard["arguments"] += delta.function_call.arguments or ""
        reason = chunk.choices[0].finish_reason or reason
    return heard, reason
