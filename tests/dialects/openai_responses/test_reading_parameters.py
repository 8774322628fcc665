"""Parameters and tools of the Responses API become fields of a Request."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import (
    ResponseFormat,
    Tool,
    ToolChoice,
)
from claude_max_proxy.dialects.openai_responses import OpenAIResponses, Settings
from tests.dialects.openai_responses.requests import (
    BOX,
    PATCH,
    READ,
    body,
    read,
)


OBJECT = {"type": "object", "properties": {"a": {"format": "date"}}, "x-note": 1}
INPUT_SCHEMA = {"type": "string", "description": "The tool's whole input, as plain text."}
PARAMETERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {"max_tokens": None, "temperature": None, "effort": None, "tools": [], "stream": False}),
    "limit": ({"max_output_tokens": 5}, {"max_tokens": 5}),
    "sampling": ({"temperature": 0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
    "effort": ({"reasoning": {"effort": "xhigh", "summary": "auto"}}, {"effort": "xhigh"}),
    "stream": ({"stream": True}, {"stream": True}),
    "null everywhere": (
        {"stream": None, "tools": None, "reasoning": None, "text": None, "tool_choice": None, "store": None},
        {"stream": False, "tools": [], "tool_choice": ToolChoice()},
    ),
    "functions": (
        {"tools": [READ, {"type": "function", "name": "a", "description": "d", "strict": True}]},
        {
            "tools": [
                Tool("read", parameters={"type": "object"}, path="tools[0]"),
                Tool("a", "d", strict=True, path="tools[1]"),
            ]
        },
    ),
    "free text": (
        {"tools": [PATCH]},
        {
            "tools": [
                Tool(
                    "patch",
                    "d",
                    {
                        "type": "object",
                        "properties": {"input": INPUT_SCHEMA},
                        "required": ["input"],
                        "additionalProperties": False,
                    },
                    path="tools[0]",
                )
            ]
        },
    ),
    "what only OpenAI runs": (
        {
            "tools": [
                {"type": "web_search_preview_2025_03_11"},
                {"type": "tool_search", "execution": "client"},
            ]
        },
        {"tools": [], "ignored": ["tools.web_search", "tools.tool_search"]},
    ),
    "choice none": ({"tools": [READ], "tool_choice": "none"}, {"tool_choice": ToolChoice("none")}),
    "choice required": (
        {"tools": [READ], "tool_choice": "required"},
        {"tool_choice": ToolChoice("required")},
    ),
    "choice named": (
        {"tools": [READ], "tool_choice": {"type": "function", "name": "read"}},
        {"tool_choice": ToolChoice("named", "read")},
    ),
    "choice of free text": (
        {"tools": [READ, PATCH], "tool_choice": {"type": "custom", "name": "patch"}},
        {"tool_choice": ToolChoice("named", "patch")},
    ),
    "allowed tools": (
        {
            "tools": [READ, BOX],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "read"}],
            },
        },
        {
            "tools": [Tool("read", parameters={"type": "object"}, path="tools[0]")],
            "tool_choice": ToolChoice("required"),
        },
    ),
    "one call at a time": (
        {"tools": [READ], "parallel_tool_calls": False},
        {"tool_choice": ToolChoice(parallel=False)},
    ),
    "any JSON": (
        {"text": {"format": {"type": "json_object"}}},
        {"response_schema": {"type": "object", "additionalProperties": True}},
    ),
    "JSON of a schema": (
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": OBJECT, "strict": True}}},
        {
            "response_schema": OBJECT,
            "response_format": ResponseFormat("x", strict=True, path="text.format.schema"),
        },
    ),
    "plain text": ({"text": {"format": {"type": "text"}}}, {"response_schema": None, "ignored": []}),
    "user and cache key": (
        {"user": "u", "prompt_cache_key": "k"},
        {"extra": {"user": "u", "prompt_cache_key": "k"}},
    ),
    "hints": (
        {
            "text": {"verbosity": "low"},
            "truncation": "auto",
            "max_tool_calls": 3,
            "moderation": {"model": "x"},
        },
        {"ignored": ["max_tool_calls", "moderation", "truncation"], "extra": {"verbosity": "low"}},
    ),
    "bookkeeping": (
        {
            "store": True,
            "metadata": {"a": "b"},
            "service_tier": "auto",
            "safety_identifier": "x",
            "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
            "stream_options": {"include_obfuscation": False},
            "prompt_cache_retention": "24h",
            "client_metadata": {"a": "b"},
            "truncation": "disabled",
        },
        {
            "ignored": [],
            "extra": {"metadata": {"a": "b"}, "safety_identifier": "x", "prompt_cache_retention": "24h"},
        },
    ),
    "off is not asked for": (
        {"background": False, "conversation": None, "prompt": None, "top_logprobs": 0},
        {"ignored": []},
    ),
}


@pytest.mark.parametrize(("fields", "expected"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each parameter is carried over to the request, or named as ignored."""
    request = read(**fields)
    assert expected == {name: getattr(request, name) for name in expected}


def test_tools_of_a_namespace() -> None:
    """The tools of a namespace become functions with its name, and a grammar is described to the model."""
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
    box = {**BOX, "tools": [READ, {**PATCH, "format": grammar}]}
    tools = read(tools=[READ, box]).tools
    assert [tool.name for tool in tools] == ["read", "box__read", "box__patch"]
    assert tools[2].parameters is not None
    assert tools[2].parameters["properties"]["input"]["description"].endswith("lark grammar:\nstart: x")


def test_storing_that_is_off() -> None:
    """A client that asks to store a response is told if nothing is stored."""
    dialect = OpenAIResponses(Settings(store=False))
    assert dialect.open(body(store=True)).request.ignored == ["store"]
    assert dialect.open(body()).request.ignored == []
