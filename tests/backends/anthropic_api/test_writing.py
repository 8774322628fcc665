"""How a Request is written for the Messages API."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    File,
    Image,
    InvalidRequest,
    Message,
    Part,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from claude_max_proxy.backends.anthropic_api.tools import answer_tool
from claude_max_proxy.backends.anthropic_api.writing import headers
from tests.backends.anthropic_api.writing import HI, PLAIN, SCHEMA, asked, written


MARK = {"type": "ephemeral"}
ANSWER = {"name": "answer", "description": "Give the answer.", "input_schema": SCHEMA}
PARAMETERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {}, {}),
    ({"max_tokens": 5}, {}, {"max_tokens": 5}),
    ({}, {"max_tokens": 100}, {"max_tokens": 100}),
    ({"system": "be brief"}, {}, {"system": [{"type": "text", "text": "be brief"}]}),
    ({"system": " "}, {}, {}),
    ({"stop": ["a"]}, {}, {"stop_sequences": ["a"]}),
    ({"temperature": 0.0, "top_p": 0.5}, {}, {"temperature": 0.0, "top_p": 0.5}),
]


@pytest.mark.parametrize(("fields", "settings", "wire"), PARAMETERS)
def test_parameters(fields: dict[str, Any], settings: dict[str, Any], wire: dict[str, Any]) -> None:
    """Each parameter has its place, and what is not set is not sent, except the limit, which is required."""
    assert written(asked(**fields), **settings) == PLAIN | wire


def test_a_conversation() -> None:
    """Messages keep their true roles, results come first, and what the API refuses is left out."""
    request = Request(
        "x",
        messages=[
            HI,
            Message(
                "assistant",
                [Reasoning("hm"), Text(""), ToolCall("c:1", "f", '{"a":1}'), ToolCall("c2", "g", "")],
            ),
            Message(
                "user",
                [
                    Text("and?"),
                    ToolResult("c:1", (Text("one"), Image("image/png", "AAAA"), Text(""))),
                    ToolResult("c2", (), is_error=True),
                ],
            ),
            Message("assistant", [Text(" \n")]),
        ],
    )
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    assert written(request)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "c_1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "c_1",
                    "content": [{"type": "text", "text": "one"}, image],
                },
                {"type": "tool_result", "tool_use_id": "c2", "content": [], "is_error": True},
                {"type": "text", "text": "and?"},
            ],
        },
    ]


def test_images_and_documents() -> None:
    """Images are sent by URL or as data, documents as PDF or as text, with their names."""
    parts: list[Part] = [
        Image(url="https://x/y.png"),
        File("application/pdf", "BBBB", "a.pdf"),
        File("text/plain", base64.b64encode(b"hello").decode()),
    ]
    assert written(Request("x", messages=[Message("user", parts)]))["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
    ]


@pytest.mark.parametrize("arguments", ["{", "[1]", "7"])
def test_arguments_that_are_no_object(arguments: str) -> None:
    """If a call's arguments are no object, they are sent inside of one, so that the model sees them."""
    call = Message("assistant", [ToolCall("c", "f", arguments)])
    block = written(Request("x", messages=[HI, call]))["messages"][1]["content"][0]
    assert block["input"] == {"arguments": arguments}


THOUGHTS: list[Part] = [
    Reasoning("hm", "sig"),
    Reasoning("", "EoF=", redacted=True),
    Reasoning("unsigned"),
    Text("a"),
]


@pytest.mark.parametrize(
    ("setting", "kinds"),
    [
        ("adaptive", ["thinking", "redacted_thinking", "text"]),
        ("off", ["text"]),
    ],
)
def test_thoughts_handed_back(setting: str, kinds: list[str]) -> None:
    """If the model thinks, its own signed thoughts are sent back; those of others are not."""
    request = Request("x", messages=[HI, Message("assistant", list(THOUGHTS)), HI])
    body = written(request, thinking=setting)
    assert [block["type"] for block in body["messages"][1]["content"]] == kinds


def test_tools() -> None:
    """Tools are sent with their schemas unchanged."""
    body = written(asked(tools=[Tool("f", "does f", SCHEMA), Tool("g")]))
    assert body["tools"] == [
        {"name": "f", "description": "does f", "input_schema": SCHEMA},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
    ]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(), {"type": "auto"}),
        (ToolChoice("none", parallel=False), {"type": "none"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("named", "f"), {"type": "tool", "name": "f"}),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(choice: ToolChoice, wire: dict[str, Any]) -> None:
    """Every choice of tools has its counterpart."""
    assert written(asked(tools=[Tool("f")], tool_choice=choice))["tool_choice"] == wire


FORCED = {"type": "tool", "name": "answer", "disable_parallel_tool_use": True}
STRUCTURED: list[tuple[dict[str, Any], list[str], dict[str, Any]]] = [
    ({}, ["answer"], FORCED),
    ({"tools": [Tool("f")]}, ["f", "answer"], {"type": "any", "disable_parallel_tool_use": True}),
    ({"tools": [Tool("f")], "tool_choice": ToolChoice("none")}, ["f", "answer"], FORCED),
    ({"tools": [Tool("f")], "tool_choice": ToolChoice("required")}, ["f"], {"type": "any"}),
    (
        {"tools": [Tool("f")], "tool_choice": ToolChoice("named", "f")},
        ["f"],
        {"type": "tool", "name": "f"},
    ),
    (
        {"tools": [Tool("answer")], "tool_choice": ToolChoice("none")},
        ["answer", "answer_"],
        FORCED | {"name": "answer_"},
    ),
]


@pytest.mark.parametrize(("fields", "names", "choice"), STRUCTURED)
def test_a_structured_answer(fields: dict[str, Any], names: list[str], choice: dict[str, Any]) -> None:
    """A schema becomes a tool that must be called, unless the client's own must be."""
    request = asked(response_schema=SCHEMA, **fields)
    body = written(request)
    assert [tool["name"] for tool in body["tools"]] == names
    assert body["tool_choice"] == choice
    assert answer_tool(request) == (names[-1] if "answer" in names[-1] else "")
    assert ("answer" not in names[-1]) or body["tools"][-1] == ANSWER | {"name": names[-1]}


def test_a_schema_that_cannot_be() -> None:
    """A tool's input is an object, so a structured answer is one too."""
    with pytest.raises(InvalidRequest, match='must be "object"'):
        written(asked(response_schema={"type": "array"}))


def test_what_only_this_api_has() -> None:
    """The API's own tools and fields are passed on, and beta features as a header."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    extra = {
        "anthropic_beta": ["a-1", "b-2"],
        "anthropic_metadata": {"user_id": "u"},
        "anthropic_tools": {"tools[0]": search},
        "top_k": 5,
    }
    request = asked(extra=extra)
    body = written(request)
    assert (body["top_k"], body["tools"], body["metadata"]) == (5, [search], {"user_id": "u"})
    assert headers(request) == {"anthropic-beta": "a-1,b-2"}
    searching = written(asked(extra=extra, response_schema=SCHEMA))
    assert searching["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


def test_the_prompt_cache() -> None:
    """The ends of the tools, the system prompt and the newest message get cache marks."""
    request = Request(
        "x",
        "be brief",
        [HI, Message("user", [Text("a"), Image(url="https://x/y.png")])],
        tools=[Tool("f"), Tool("g")],
    )
    body = written(request, cache=True)
    marked = [body["tools"][-1], body["system"][-1], body["messages"][-1]["content"][-1]]
    assert [block.get("cache_control") for block in marked] == [MARK] * 3
    assert msgspec.json.encode(body).count(b"cache_control") == 3
    assert "cache_control" not in str(written(request))
