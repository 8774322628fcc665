"""Names that every JavaScript object has already: a client's tools, properties and ids may have them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from claude_max_proxy.testing import Reply, ScriptedUpstream, ToolUse
from tests.end_to_end.chatting import ask
from tests.end_to_end.comparing import seen
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import DONE, MODELS, Worker, function, hear, live, new_model, result, user


PROXY_TOML = (
    MODELS + 'agent = { to = "claude/sonnet", agent = { tools = ["Read"], directory = "~/project" } }\n'
)
NAMES = [
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
]


def schema() -> dict[str, Any]:
    """Return a schema whose properties have all of these names, at two depths."""
    properties = {name: {"type": "string", "description": f"It is {name}."} for name in NAMES}
    inner = {"type": "object", "properties": properties, "required": NAMES, "additionalProperties": False}
    return {"type": "object", "properties": {"inner": inner, **properties}, "required": ["inner", *NAMES]}


async def test_tools(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """A tool of any such name is offered, called, answered in place, and replayed under that name."""

    def call_all(body: dict[str, Any]) -> Reply:
        if any(message["role"] == "assistant" for message in body["messages"]):
            return DONE
        names = {tool["description"]: tool["name"] for tool in body["tools"]}
        return Reply(tuple(ToolUse(names[name], {"name": name}) for name in NAMES))

    upstream.answer_with(call_all)
    work = Worker(sdk, new_model(), [function(name, name) for name in NAMES], [user("call all")])
    heard, last = await work.step(), await work.step()

    assert [call["function"]["name"] for call in heard.calls] == NAMES
    assert last.text == "Done."
    assert await live(proxy, work.model, 2) == [False, True]
    called = [block[3]["name"] for block in seen(upstream)[1][1] if block[0] == "call"]
    assert called == NAMES

    edited = [user("call all of them"), *work.messages[1:-1], user("again")]
    await hear(sdk, work.model, edited, tools=work.tools)
    assert [block[3]["name"] for block in seen(upstream)[1][1] if block[0] == "call"] == NAMES


async def test_one_at_a_time(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """Each such tool alone is called and answered, in a process that others have used."""
    model = new_model()
    for name in NAMES:
        upstream.answer_with(
            lambda body: (
                DONE if len(body["messages"]) > 2 else Reply((ToolUse(body["tools"][0]["name"], {"a": 1}),))
            )
        )
        work = Worker(sdk, model, [function(name, name)], [user(f"call {name}")])
        assert [call["function"]["name"] for call in (await work.step()).calls] == [name]
        assert (await work.step()).text == "Done."


@pytest.mark.parametrize("name", NAMES)
async def test_an_agents(name: str, client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """An agent, which the CLI itself tells about the client's tools, can call a tool with any such name."""
    upstream.answer_with(lambda body: Reply((ToolUse(mine(body, name), {"a": 1}),)))
    tool = function(name, name)

    response = await ask(client, f"call {name}", model="agent", tools=[tool], parallel_tool_calls=False)

    assert response.status_code == 200, response.text
    (call,) = response.json()["choices"][0]["message"]["tool_calls"]
    assert call["function"] == {"name": name, "arguments": '{"a":1}'}


def mine(body: dict[str, Any], description: str) -> str:
    """Return the name that a request gives the tool with this description."""
    return next(tool["name"] for tool in body["tools"] if tool["description"] == description)


async def test_properties(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """Properties with such names reach the model in the schema, and the client in the arguments."""
    values = {name: f"value of {name}" for name in NAMES}
    given = {"inner": values, **values}
    upstream.script(Reply((ToolUse("look", given),)), DONE)
    work = Worker(sdk, new_model(), [function("look", "Looks.", schema())], [user("look")])
    heard = await work.step()

    assert json.loads(heard.calls[0]["function"]["arguments"]) == given
    assert upstream.requests[0].body["tools"][0]["input_schema"] == schema()

    assert (await work.step()).text == "Done."
    assert work.conversation() == seen(upstream)

    edited = [user("look again"), *work.messages[1:-1], user("once more")]
    await hear(sdk, work.model, edited, tools=work.tools)
    (call,) = [block for block in seen(upstream)[1][1] if block[0] == "call"]
    assert call[3] == given


async def test_ids(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """Calls in the history with such ids arrive, each with its own result."""
    calls = [
        {"id": name, "type": "function", "function": {"name": "look", "arguments": "{}"}} for name in NAMES
    ]
    messages = [
        user("work"),
        {"role": "assistant", "content": None, "tool_calls": calls},
        *(result(name, f"result of {name}") for name in reversed(NAMES)),
        user("go on"),
    ]

    await hear(sdk, new_model(), messages)

    _, (_, made), (_, results) = seen(upstream)
    assert [block[1] for block in made] == list(range(len(NAMES)))
    last = len(NAMES) - 1
    expected = [("result", last - n, [("text", f"result of {NAMES[last - n]}")]) for n in range(len(NAMES))]
    assert results == [*expected, ("text", "go on")]
