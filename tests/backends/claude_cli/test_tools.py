"""The client's tools, as the CLI is told of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import File, Image, Text, Tool, ToolResult
from claude_max_proxy.backends.claude_cli.protocol import RpcMessage, RpcParams
from claude_max_proxy.backends.claude_cli.tools import (
    MAX_RESULT_CHARACTERS,
    Names,
    call_result,
    fits_in_band,
    serve,
)


@given(st.lists(st.text(min_size=1, max_size=150), unique=True, max_size=5))
def test_names_go_both_ways(names: list[str]) -> None:
    """Every name has one that the upstream takes, and finds back to itself."""
    mapped = Names([Tool(name) for name in names])
    for name in names:
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", mapped.upstream[name])
        assert mapped.client[mapped.upstream[name]] == name


def test_most_names_are_the_same() -> None:
    """A name that the upstream takes is not touched, and one that it does not keeps its look."""
    names = Names([Tool("read-file_2"), Tool("read.file"), Tool("read file")])
    assert names.upstream["read-file_2"] == "read-file_2"
    assert names.upstream["read.file"].startswith("read_file_")
    assert names.upstream["read.file"] != names.upstream["read file"]


def test_the_handshake() -> None:
    """The CLI's own version of the protocol is the one that is spoken."""
    message = RpcMessage("initialize", 0, RpcParams(protocol_version="2025-06-18"))
    answer = serve(message, [], Names())
    assert answer["protocolVersion"] == "2025-06-18"
    assert "tools" in answer["capabilities"]


def test_the_list() -> None:
    """Tools are listed as the client described them, their schema untouched."""
    schema = {"type": "object", "properties": {"a": {"$ref": "#/x"}}, "x": {}}
    tools = [Tool("read", "Reads.", schema), Tool("now!")]
    first, second = serve(RpcMessage("tools/list", 1), tools, Names(tools))["tools"]
    assert (first["name"], first["description"], first["inputSchema"]) == ("read", "Reads.", schema)
    assert second["name"].startswith("now_")
    assert second["inputSchema"] == {"type": "object", "properties": {}}
    assert first["annotations"] == {"readOnlyHint": True}


@pytest.mark.parametrize("method", ["ping", "notifications/initialized", "resources/list", ""])
def test_what_else_is_asked(method: str) -> None:
    """Anything else is answered with nothing."""
    assert serve(RpcMessage(method, 1), [], Names()) == {}


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
    """Of an error, the CLI passes on one text that is not long and that trimming does not change."""
    assert fits is fits_in_band(ToolResult("c", parts, is_error=True))
