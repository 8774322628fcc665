"""Requests that once reached the model changed, or not at all: each with what is right, with both CLIs."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx
import pytest

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse
from tests import pictures
from tests.end_to_end.chatting import ask, body, streamed_text
from tests.end_to_end.working import result, user


PROXY_TOML = """
[models]
"claude-sonnet-4" = "claude/sonnet"
"fixed" = "claude/claude-sonnet-4-5"
"sonnet-5" = "claude/claude-sonnet-5"
"sonnet-5-5" = "claude/claude-sonnet-5-5"
"""
GOOD = {"type": "object", "properties": {"a": {"type": "string"}}}


def tool(
    name: str, parameters: dict[str, Any] = GOOD, description: str = "a tool", **more: Any
) -> dict[str, Any]:
    """Return a tool."""
    function = {"name": name, "description": description, "parameters": parameters, **more}
    return {"type": "function", "function": function}


UNUSUAL: list[dict[str, Any]] = [
    {"type": "object", "properties": {"x": True, "y": {"type": "string"}}},
    {"type": "object", "properties": {"kind": {"type": "string", "enum": ["①", "ＡＢＣ", "x²"]}}},
    {"type": "object", "properties": {"a": {"properties": {"城市": {"type": "string"}}}}},
    {"type": "object", "properties": {"b": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"x-note": [1]}}},
    {
        "type": "object",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {},
        "examples": [{}],
    },
    {"type": "object", "properties": {"z": {}, "a": {}, "m": {"prefixItems": [{}], "format": "unheard-of"}}},
]


@pytest.mark.parametrize("parameters", UNUSUAL)
async def test_unusual_tools(
    parameters: dict[str, Any], client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """No tool is missing, and none is changed, however unusual its schema, its texts and its place are."""
    description = "全角（括弧） 👨‍👩‍👧 " + "A" * 9000
    tools = [tool("zeta", parameters, description, strict=False), tool("good_tool")]
    response = await ask(client, "hello", tools=tools, model="fixed")
    assert response.status_code == 200, response.text
    first, second = upstream.requests[0].body["tools"]
    assert first == {"name": "zeta", "description": description, "input_schema": parameters, "strict": False}
    assert list(first["input_schema"]["properties"]) == list(parameters["properties"])
    assert second == {"name": "good_tool", "description": "a tool", "input_schema": GOOD}


REFUSED: list[dict[str, Any]] = [
    {"type": "object", "properties": {"城市": {"type": "string"}}},
    {**GOOD, "anyOf": [{"required": ["a"]}]},
    {"type": "array", "items": {}},
    {"type": "object", "properties": {"a": {"type": "any"}}},
    {"type": "object", "required": None},
]


@pytest.mark.parametrize("parameters", REFUSED)
async def test_tools_that_the_provider_refuses(
    parameters: dict[str, Any], client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """The client is told which tool is wrong, and nothing is sent upstream."""
    response = await ask(client, "hello", tools=[tool("good_tool"), tool("probe", parameters)])
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "tools[1]"
    assert "'probe'" in response.json()["error"]["message"]
    assert upstream.requests == []


async def test_strict(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """That a schema is to be enforced reaches the provider that can enforce it."""
    closed = {**GOOD, "required": ["a"], "additionalProperties": False}
    response = await ask(client, "hello", tools=[tool("probe", closed, strict=True)])
    assert response.status_code == 200
    assert upstream.requests[0].body["tools"][0]["strict"] is True


@pytest.mark.parametrize("name", ["ToolSearch", "StructuredOutput", "a name", "größe"])
async def test_a_forced_tool_of_a_mapped_name(
    name: str, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """The tool that must be called is one of those that are offered, and its call has the client's name."""
    upstream.answer_with(lambda sent: Reply((ToolUse(sent["tool_choice"]["name"], {"a": "x"}),)))
    choice = {"type": "function", "function": {"name": name}}
    response = await ask(
        client, "hello", tools=[tool("other"), tool(name)], tool_choice=choice, model="fixed"
    )
    sent = upstream.requests[0].body
    assert sent["tool_choice"]["name"] == sent["tools"][1]["name"]
    (call,) = response.json()["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == name


SCHEMAS: list[dict[str, Any]] = [
    {"properties": {"when": {"type": "string", "format": "date-time"}}, "required": ["when"]},
    {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {"when": {"x-hint": 1, "example": "now"}},
    },
    {"properties": {"when": {"$ref": "#/$defs/w"}}, "$defs": {"w": {"title": "W", "format": "no-such"}}},
    {"properties": {"when": {"anyOf": [{"const": 3}, {"type": "string", "readOnly": True}]}}, "title": "T"},
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("schema", SCHEMAS)
async def test_schemas_of_answers(
    schema: dict[str, Any], stream: bool, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """The model sees the schema as it was written, and its answer fits the client's."""
    given = {"type": "object", **schema}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": given}}
    said = 'fill it in [[tool StructuredOutput {"when":"2026-01-01T00:00:00Z"}]]'
    response = await ask(client, said, response_format=form, stream=stream)
    assert response.status_code == 200, response.text
    text = streamed_text(response) if stream else response.json()["choices"][0]["message"]["content"]
    assert json.loads(text) == {"when": "2026-01-01T00:00:00Z"}
    (request,) = upstream.requests
    assert request.body["tools"][-1]["input_schema"] == given


async def test_an_answer_that_the_cli_takes_for_right(
    client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """Rules that the CLI's validator does not know are checked, too; breaking one is a failure."""
    rule = {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": rule}}
    said = 'fill it in [[tool StructuredOutput {"a":"x"}]]'
    whole = await ask(client, said, response_format=form)
    assert (whole.status_code, whole.json()["error"]["code"]) == (502, "invalid_output")
    streamed = await ask(client, said, response_format=form, stream=True)
    assert streamed.status_code == 200
    assert "invalid_output" in streamed.text
    assert 'finish_reason":"stop' not in streamed.text
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    "schema", [{"type": "array", "items": {}}, {"type": "any"}, {"type": "object", "properties": 3}, {}]
)
async def test_what_is_no_schema(
    schema: dict[str, Any], client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """It is refused by its path, and nothing is billed."""
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    response = await ask(client, "hello", response_format=form)
    assert response.status_code == 400
    assert response.json()["error"]["param"].startswith("response_format.json_schema.schema")
    assert upstream.requests == []


async def test_a_label_that_is_wrong(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """An image is sent with its real type."""
    url = pictures.data_url(pictures.JPEG, "image/jpg")
    content = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    response = await ask(client, [user(content)])
    assert response.status_code == 200, response.text
    images = [
        block for block in upstream.requests[0].body["messages"][0]["content"] if block["type"] == "image"
    ]
    assert [image["source"]["media_type"] for image in images] == ["image/jpeg"]


async def test_white_space_beside_a_call(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """No block of white space alone goes upstream."""
    call = {"id": "call_1", "type": "function", "function": {"name": "good_tool", "arguments": '{"a":"x"}'}}
    messages = [
        user("a"),
        {"role": "assistant", "content": "\n\n", "tool_calls": [call]},
        result("call_1", "r"),
        user("go on"),
    ]
    response = await ask(client, messages, tools=[tool("good_tool")])
    assert response.status_code == 200, response.text
    assert _texts(upstream.requests[0].body) >= {"a", "go on"}
    assert all(text.strip() for text in _texts(upstream.requests[0].body))


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("empty", ["", [], [{"type": "text", "text": ""}], " \n"])
async def test_an_empty_result(
    empty: Any, live: bool, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """An empty result stays empty, also if the conversation continues in its process."""
    upstream.script(Reply((ToolUse("good_tool", {"a": "x"}),)), Reply((Text("Fine."),)))
    first = await ask(client, "call it", tools=[tool("good_tool")])
    message = first.json()["choices"][0]["message"]
    messages = [
        user("call it" if live else "call it, please"),
        message,
        result(message["tool_calls"][0]["id"], empty),
    ]
    response = await ask(client, messages, tools=[tool("good_tool")])
    assert response.status_code == 200, response.text
    blocks = [block for one in upstream.requests[-1].body["messages"] for block in one["content"]]
    (given,) = [block for block in blocks if isinstance(block, dict) and block["type"] == "tool_result"]
    assert given.get("content") in ([], "", None)


async def test_models_without_sampling(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """What a model does not accept is not sent, and the client is told."""
    for model in ("sonnet-5", "sonnet-5-5"):
        response = await ask(client, "hello", model=model, temperature=0.2, max_tokens=300)
        assert response.status_code == 200, response.text
        assert "temperature" not in upstream.requests[-1].body
        assert "temperature" in response.headers["x-proxy-ignored"]


async def test_thinking_that_is_off(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A client that wants no thinking gets none, or is told."""
    off = await ask(client, "hello", model="sonnet-5", reasoning_effort="none", max_tokens=100)
    assert off.status_code == 200, off.text
    assert upstream.requests[-1].body["thinking"] == {"type": "disabled"}
    told = await ask(client, "hello", model="sonnet-5-5", reasoning_effort="none", max_tokens=100)
    assert told.status_code == 200, told.text
    assert "reasoning_effort" in told.headers["x-proxy-ignored"]


async def test_a_model_that_cannot_be_forced(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """The model is asked without force, and the client is told; an answer without the call is a failure."""
    fields = {"model": "sonnet-5-5", "tools": [tool("good_tool")], "tool_choice": "required"}
    missing = await ask(client, "hello", **fields)
    assert (missing.status_code, missing.json()["error"]["code"]) == (502, "tool_not_called")
    streamed = await ask(client, "hello", stream=True, **fields)
    assert '"tool_not_called"' in streamed.text
    called = await ask(client, "hello [[tool good_tool {}]]", **fields)
    assert called.status_code == 200, called.text
    assert called.headers["x-proxy-ignored"] == "tool_choice"
    assert called.json()["choices"][0]["finish_reason"] == "tool_calls"
    assert len(upstream.requests) == 3
    choices = [request.body.get("tool_choice", {"type": "auto"})["type"] for request in upstream.requests]
    assert choices == ["auto"] * 3


async def test_a_packed_body(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A compressed body is read."""
    packed = gzip.compress(json.dumps(body("hello")).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    response = await client.post("/v1/chat/completions", content=packed, headers=headers)
    assert response.status_code == 200, response.text


def _texts(sent: dict[str, Any]) -> set[str]:
    contents = [message["content"] for message in sent["messages"]]
    blocks = [block for content in contents if isinstance(content, list) for block in content]
    return {block["text"] for block in blocks if block["type"] == "text"}
