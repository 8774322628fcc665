"""The client's tools, in the form that the CLI gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_max_proxy import Agent, File, Image, Request, ResponseFormat, Text, Tool, ToolResult
from claude_max_proxy.backends.claude_cli.protocol import RpcMessage, RpcParams
from claude_max_proxy.backends.claude_cli.tools import (
    MAX_RESULT_CHARACTERS,
    call_result,
    definitions,
    fits_in_band,
    is_sound,
    listed,
    names_of,
    serve,
)


SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/x"}}, "x": {}}
EMPTY = {"type": "object", "properties": {}}


def test_the_handshake() -> None:
    """The CLI's own version of the protocol is used."""
    message = RpcMessage("initialize", 0, RpcParams(protocol_version="2025-06-18"))
    answer = serve(message, [])
    assert answer["protocolVersion"] == "2025-06-18"
    assert "tools" in answer["capabilities"]


def test_the_cli_lists_names() -> None:
    """The CLI gets only the tools' names, with a schema that accepts every call."""
    request = Request("m", tools=[Tool("read", "Reads.", SCHEMA), Tool("now!"), Tool("ToolSearch")])
    first, second, third = listed(request, names_of(request))
    assert (first["name"], first["description"], first["inputSchema"]) == ("read", "", {"type": "object"})
    assert first["annotations"] == {"readOnlyHint": True}
    assert second["name"].startswith("now__")
    assert third["name"] != "ToolSearch"


def test_an_agents_tools_are_listed_whole() -> None:
    """An agent's request to the API is the CLI's own, so the CLI gets the definitions."""
    request = Request("m", tools=[Tool("read", "Reads.", SCHEMA)], agent=Agent((), "."))
    (only,) = listed(request, names_of(request))
    assert (only["description"], only["inputSchema"]) == ("Reads.", SCHEMA)


def test_definitions_are_the_clients() -> None:
    """The model sees what the client wrote, in the same order, and nothing else."""
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
    """Any other method is answered with an empty result."""
    assert serve(RpcMessage(method, 1), []) == {}


def test_a_result() -> None:
    """A result is written in the form of MCP."""
    result = ToolResult("c", (Text("x"), Image("image/png", "AA")), is_error=True)
    assert call_result(result) == {
        "content": [
            {"type": "text", "text": "x"},
            {"type": "image", "data": "AA", "mimeType": "image/png"},
        ],
        "isError": True,
    }

    assert call_result(ToolResult("c", (Text("x"), Text(" \n"), Text("")))) == {
        "content": [{"type": "text", "text": "x"}],
        "isError": False,
    }


LIMIT = MAX_RESULT_CHARACTERS
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize(
    ("parts", "fits"),
    [
        ((), False),
        ((Text(""), Text(" \n\ufeff")), False),
        ((Text(" a \n"), Text("\n")), True),
        ((Text("x" * LIMIT),), True),
        ((Text("x" * LIMIT), Text("x")), False),
        ((Text("😀" * (LIMIT // 2)),), True),
        ((Text("😀" * (LIMIT // 2 + 1)),), False),
        ((Image("image/png", PNG),), True),
        ((Image("image/png", "AA"),), False),
        ((Image(url="https://a"),), False),
        ((File("text/plain", "AA"),), False),
    ],
)
def test_what_the_cli_passes_on(parts: tuple[Text | Image | File, ...], fits: bool) -> None:
    """Empty results, large ones, and what is neither text nor an inline image do not fit."""
    assert fits is fits_in_band(ToolResult("c", parts))


@pytest.mark.parametrize(
    ("parts", "fits"),
    [
        ((), False),
        ((Text("lost"),), True),
        ((Text("lost"), Text(" ")), True),
        ((Text("lost"), Text("found")), False),
        ((Text(" lost"),), False),
        ((Text("lost\n"),), False),
        ((Text("lost\ufeff"),), False),
        ((Text("x" * 10_000),), True),
        ((Text("x" * 10_001),), False),
        ((Text("😀" * 5_001),), False),
        ((Text("lost"), Image("image/png", PNG)), False),
        ((Image("image/png", PNG),), False),
    ],
)
def test_what_the_cli_passes_on_of_a_failure(parts: tuple[Text | Image, ...], fits: bool) -> None:
    """If a result is an error, the CLI passes on only one short text that trimming does not change."""
    assert fits is fits_in_band(ToolResult("c", parts, is_error=True))


@pytest.mark.parametrize(
    ("arguments", "sound"),
    [
        ("", True),
        ('{"a": {"constructor": 1}}', True),
        ('{"a": "__proto__"}', True),
        ("[]", False),
        ("{", False),
        ('{"__proto__": 1}', False),
        ('{"\\u005f_proto__": 1}', False),
        ('{"a": [{"b": {"__proto__": null}}]}', False),
    ],
)
def test_what_the_cli_keeps(arguments: str, sound: bool) -> None:
    """A call continues in place only if the CLI keeps its arguments unchanged."""
    assert is_sound("look", arguments) == sound


@pytest.mark.parametrize(
    ("name", "arguments", "sound"),
    [
        ("Bash", {"command": "ls  "}, True),
        ("Bash", {"command": "find . -exec ls {} \\\\;"}, False),
        ("Edit", {"file_path": "a", "old_string": "b", "new_string": "c"}, False),
        ("Edit", {"file_path": "a", "old_string": "b", "new_string": "c", "replace_all": False}, True),
        ("edit", {"file_path": "a", "old_string": "b", "new_string": "c"}, True),
        ("Write", {"file_path": "a", "content": "  b\n\nc\r\n"}, True),
        ("Write", {"file_path": "a", "content": "b \nc"}, False),
        ("Write", {"file_path": "a", "content": "b\t\r\nc"}, False),
        ("Write", {"file_path": "a", "content": "b "}, False),
        ("Read", {"file_path": "a", "offset": 1}, True),
        ("Read", {"file_path": "a", "offset": "1"}, False),
        ("TaskOutput", {"task_id": "1"}, False),
        ("TaskOutput", {"task_id": "1", "block": True, "timeout": 5}, True),
    ],
)
def test_what_the_cli_takes_for_its_own(name: str, arguments: dict[str, Any], *, sound: bool) -> None:
    """A call that is like one of the CLI's own tools does not continue in place where the CLI rewrites it."""
    assert is_sound(name, json.dumps(arguments)) == sound


@pytest.mark.parametrize(
    "name", ["__proto__", "constructor", "hasOwnProperty", "toString", "ToolSearch", "ExitPlanMode"]
)
def test_names_that_mean_something_else(name: str) -> None:
    """A name that means something else to the CLI is replaced upstream, and restored for the client."""
    names = names_of(Request("m", tools=[Tool(name)]))
    assert names.upstream(name) != name
    assert names.client == {names.upstream(name): name}
