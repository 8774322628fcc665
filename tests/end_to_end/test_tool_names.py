"""The names of the client's tools, and lists of tools: whatever they are, they reach the model."""

from __future__ import annotations

import json
import re
from typing import Any

from openai import AsyncOpenAI

from claude_max_proxy.testing import Reply, ScriptedUpstream, ToolUse
from tests.end_to_end.comparing import seen
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import (
    DONE,
    MODELS,
    TOOLS,
    Worker,
    function,
    hear,
    live,
    new_model,
    offered,
    result,
    user,
)


PROXY_TOML = MODELS
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
    "x" * 127 + ".",
    "x" * 126 + ".y",
    "plain",
]


async def test_odd_names(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Any name can be offered, is called under exactly that name, and is never confused with another."""

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
    """Calls of tools that are no longer offered, with any ids, arrive in a form that the API accepts."""
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


async def test_ids_counted_anew(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A history whose ids start over in every answer arrives with distinct ids, and continues in place."""
    messages = [user("work")]
    for number in range(3):
        function = {"name": "look", "arguments": f'{{"n": {number}}}'}
        messages += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_0", "type": "function", "function": function}],
            },
            result("call_0", f"result {number}"),
        ]

    await hear(sdk, new_model(), [*messages, user("go on")], tools=TOOLS)

    uses = [block[1] for _, blocks in seen(upstream) for block in blocks if block[0] == "call"]
    results = [block[1:] for _, blocks in seen(upstream) for block in blocks if block[0] == "result"]
    assert uses == [0, 1, 2]
    assert results == [(number, [("text", f"result {number}")]) for number in range(3)]


# Names of the CLI's own tools; it must not take a client's tool for one of them. `ExitPlanMode` is mapped.
BUILT_IN = [
    "Agent",
    "AskUserQuestion",
    "Bash",
    "BashOutput",
    "Edit",
    "EnterPlanMode",
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
    """Tools with the names of all the CLI's own are the client's, and the CLI adds no texts for them."""
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
    """A hundred tools with 200 kB of schemas arrive unchanged, and without any of the CLI's own."""
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
    """A client that offers no tools gets none of the CLI's own."""
    await hear(sdk, new_model(), [user("hi")])

    assert offered(upstream) == []
