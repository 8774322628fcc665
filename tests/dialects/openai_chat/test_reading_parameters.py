"""Parameters of Chat Completions become fields of a Request."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import (
    ResponseFormat,
    Tool,
    ToolChoice,
)
from tests.dialects.openai_chat.requests import READ, allowed, read


OBJECT = {"type": "object", "properties": {"a": {"format": "date"}}, "x-note": 1}
WRITE = {"type": "function", "function": {"name": "write"}}
PARAMETERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {"max_tokens": None, "stop": [], "temperature": None, "effort": None, "tools": []}),
    "max_tokens": ({"max_tokens": 5}, {"max_tokens": 5}),
    "max_completion_tokens": ({"max_completion_tokens": 6, "max_tokens": 5}, {"max_tokens": 6}),
    "stop text": ({"stop": "END"}, {"stop": ["END"]}),
    "stop list": ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
    "temperature": ({"temperature": 0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
    "effort": ({"reasoning_effort": "xhigh"}, {"effort": "xhigh"}),
    "stream": ({"stream": True}, {"stream": True}),
    "null everywhere": (
        {"stream": None, "tools": None, "stop": None, "n": None, "temperature": None, "tool_choice": None},
        {"stream": False, "tools": [], "stop": [], "tool_choice": ToolChoice()},
    ),
    "tools": (
        {
            "tools": [
                READ,
                {"type": "function", "function": {"name": "a", "description": "d", "strict": True}},
            ]
        },
        {
            "tools": [
                Tool("read", parameters={"type": "object"}, path="tools[0]"),
                Tool("a", "d", strict=True, path="tools[1]"),
            ]
        },
    ),
    "legacy functions": (
        {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
        {"tools": [Tool("f", path="functions[0]")], "tool_choice": ToolChoice("named", "f", parallel=False)},
    ),
    "some allowed": (
        {"tools": [READ, WRITE], "tool_choice": allowed("auto", "write")},
        {"tools": [Tool("write", path="tools[1]")], "tool_choice": ToolChoice()},
    ),
    "one of some": (
        {"tools": [READ, WRITE], "tool_choice": allowed("required", "write"), "parallel_tool_calls": False},
        {"tools": [Tool("write", path="tools[1]")], "tool_choice": ToolChoice("required", parallel=False)},
    ),
    "all allowed": (
        {"tools": [WRITE, READ], "tool_choice": allowed("auto", "read", "write")},
        {"tool_choice": ToolChoice()},
    ),
    "choice none": ({"tools": [READ], "tool_choice": "none"}, {"tool_choice": ToolChoice("none")}),
    "choice required": (
        {"tools": [READ], "tool_choice": "required"},
        {"tool_choice": ToolChoice("required")},
    ),
    "choice named": (
        {"tools": [READ], "tool_choice": {"type": "function", "function": {"name": "read"}}},
        {"tool_choice": ToolChoice("named", "read")},
    ),
    "one call at a time": (
        {"tools": [READ], "parallel_tool_calls": False},
        {"tool_choice": ToolChoice(parallel=False)},
    ),
    "any JSON": (
        {"response_format": {"type": "json_object"}},
        {"response_schema": {"type": "object", "additionalProperties": True}},
    ),
    "JSON of a schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": OBJECT}}},
        {"response_schema": OBJECT, "response_format": ResponseFormat("x")},
    ),
    "plain text": ({"response_format": {"type": "text"}}, {"response_schema": None}),
    "user and cache key": (
        {"user": "u", "prompt_cache_key": "k"},
        {"extra": {"user": "u", "prompt_cache_key": "k"}},
    ),
    "off is not asked for": (
        {"logprobs": False, "top_logprobs": 0, "logit_bias": {}, "n": 1, "modalities": ["text"]},
        {"ignored": [], "extra": {}},
    ),
    "hints": (
        {"seed": 0, "presence_penalty": 0.1, "frequency_penalty": 0, "verbosity": "low"},
        {"ignored": [], "extra": {"presence_penalty": 0.1, "seed": 0, "verbosity": "low"}},
    ),
    "bookkeeping": (
        {"store": True, "metadata": {"a": "b"}, "service_tier": "auto", "safety_identifier": "x"},
        {"ignored": [], "extra": {"store": True, "metadata": {"a": "b"}, "safety_identifier": "x"}},
    ),
    "what only some can do": (
        {"logit_bias": {"5": -100}, "web_search_options": {}},
        {"ignored": [], "extra": {"logit_bias": {"5": -100}, "web_search_options": {}}},
    ),
    "unknown fields": ({"thinking": {"type": "enabled"}, "x": None, "y": []}, {"ignored": ["thinking"]}),
}


@pytest.mark.parametrize(("fields", "expected"), PARAMETERS.values(), ids=PARAMETERS)
def test_parameters(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each parameter is carried over to the request, or named as ignored."""
    request = read(**fields)
    assert expected == {name: getattr(request, name) for name in expected}
