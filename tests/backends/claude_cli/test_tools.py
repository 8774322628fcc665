"""The client's tools, as the CLI is told of them."""

from __future__ import annotations

import pytest

from claude_max_proxy import Agent, Image, Request, ResponseFormat, Text, Tool, ToolResult
from claude_max_proxy.backends.claude_cli.protocol import RpcMessage, RpcParams
from claude_max_proxy.backends.claude_cli.tools import (
    MAX_RESULT_CHARACTERS,
    call_result,
    definitions,
    fits_in_band,
    listed,
    names_of,
    serve,
)


SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/x"}}, "x": {}}
EMPTY = {"type": "object", "properties": {}}


def test_the_handshake() -> None:
    """The CLI's own version of the protocol is the one that is spoken."""
    message = RpcMessage("initialize", 0, RpcParams(protocol_version="2025-06-18"))
    answer = serve(message, [])
    assert answer["protocolVersion"] == "2025-06-18"
    assert "tools" in answer["capabilities"]


def test_the_cli_lists_names() -> None:
    """The CLI hears of the tools' names alone, with a schema that takes every call."""
    request = Request("m", tools=[Tool("read", "Reads.", SCHEMA), Tool("now!"), Tool("ToolSearch")])
    first, second, third = listed(request, names_of(request))
    assert (first["name"], first["description"], first["inputSchema"]) == ("read", "", {"type": "object"})
    assert first["annotations"] == {"readOnlyHint": True}
    assert second["name"].startswith("now__")
    assert third["name"] != "ToolSearch"


def test_an_agents_tools_are_listed_whole() -> None:
    """An agent's request to the API is the CLI's own, so the definitions go in band."""
    request = Request("m", tools=[Tool("read", "Reads.", SCHEMA)], agent=Agent((), "."))
    (only,) = listed(request, names_of(request))
    assert (only["description"], only["inputSchema"]) == ("Reads.", SCHEMA)


def test_definitions_are_the_clients() -> None:
    """The model is told what the client wrote, in its order, and nothing that it did not write."""
    fields = {"cache_control": {"type": "ephemeral"}, "input_examples": [{"a": 1}]}
    tools = [
        Tool("z", "", SCHEMA, strict=False, fields=fields),
        Tool("a b"),
        Tool("a", "①" * 9000, SCHEMA, True),
    ]
    request = Request("m", tools=tools)
    first, second, third = definitions(request, names_of(request))
    assert first == {"name": "z", "description": "", "input_schema": SCHEMA, "strict": False, **fields}
    assert second == {"name": names_of(request).upstream("a b"), "input_schema": EMPTY}
    assert third == {"name": "a", "description": "①" * 9000, "input_schema": SCHEMA, "strict": True}


def test_the_answers_schema_is_the_clients() -> None:
    """A structured answer is the input of a tool whose schema is the client's own."""
    form = ResponseFormat("verdict", "What was found.")
    request = Request("m", response_schema=SCHEMA, response_format=form)
    (only,) = definitions(request, names_of(request))
    assert (only["name"], only["input_schema"]) == ("StructuredOutput", SCHEMA)
    assert "verdict" in only["description"]
    assert "What was found." in only["description"]


@pytest.mark.parametrize("method", ["ping", "notifications/initialized", "resources/list", ""])
def test_what_else_is_asked(method: str) -> None:
    """Anything else is answered with nothing."""
    assert serve(RpcMessage(method, 1), []) == {}


def test_a_result() -> None:
    """A result is written as MCP has it."""
    result = ToolResult("c", (Text("x"), Image("image/png", "AA")), is_error=True)
    assert call_result(result) == {
        "content": [
            {"type": "text", "text": "x"},
            {"type": "image", "data": "AA", "mimeType": "image/png"},
        ],
        "isError": True,
    }


@pytest.mark.parametrize(
    ("parts", "fits"),
    [
        ((), True),
        ((Text("x" * MAX_RESULT_CHARACTERS),), True),
        ((Text("x" * MAX_RESULT_CHARACTERS), Text("x")), False),
        ((Image("image/png", "AA"),), True),
        ((Image(url="https://a"),), False),
    ],
)
def test_what_the_cli_passes_on(parts: tuple[Text | Image, ...], fits: bool) -> None:
    """Results beyond the CLI's limit, and images that are not inline, do not fit."""
    assert fits is fits_in_band(ToolResult("c", parts))
