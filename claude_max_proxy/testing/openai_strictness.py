"""Refuses chat completion requests that OpenAI certainly refuses.

These are only the rules that hold for all of OpenAI's models. Unknown fields are accepted, since servers with
this API have additional fields.

Sources: OpenAI's description of its API (`CreateChatCompletionRequest`), and for the wording
github.com/brekkylab/ailoy/pull/109 (names of tools), 0x4m4/hexstrike-ai/issues/29 (128 tools),
nspady/google-calendar-mcp/issues/39 (parameters), continuedev/continue/issues/2461 (four stops),
miurla/morphic/issues/136 (results without calls), microsoft/promptflow/pull/3130 (calls without results).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from claude_max_proxy.testing.answers import Fault, fault
from claude_max_proxy.testing.strictness.shapes import objects


Body = dict[str, Any]

MOST_TOOLS = 128
MOST_STOPS = 4
_NAME = "^[a-zA-Z0-9_-]+$"
_LONGEST_NAME = 64
_BOUNDS = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "n": (1, 128),
}


def refusal(body: Body) -> Fault | None:
    """Return the error with which OpenAI would refuse a request, or None if it would answer."""
    for rule in (_check_request, _check_results, _check_tools, _check_stops):
        for message in rule(body):
            return fault(400, message)
    return None


def _check_request(body: Body) -> Iterator[str]:
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "you must provide a model parameter"
    if not isinstance(body.get("messages"), list):
        yield "Missing required parameter: 'messages'."
    elif not body["messages"]:
        yield (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead."
        )
    for name, (least, most) in _BOUNDS.items():
        value = body.get(name)
        if value is not None and not least <= value <= most:
            yield f"Invalid '{name}': {_out_of_bounds(value, least, most)}"


def _out_of_bounds(value: float, least: float, most: float) -> str:
    where, expected = ("below minimum", f">= {least}") if value < least else ("above maximum", f"<= {most}")
    kind = "integer" if isinstance(value, int) else "decimal"
    return f"{kind} {where} value. Expected a value {expected}, but got {value} instead."


def _check_results(body: Body) -> Iterator[str]:
    """Yield errors for calls without results, results without calls, and ids that two calls have."""
    open_calls: list[str] = []
    for place, message in objects(body["messages"]):
        if message.get("role") == "tool":
            call = message.get("tool_call_id")
            if call not in open_calls:
                yield (
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding "
                    "message with 'tool_calls'."
                )
            else:
                open_calls.remove(call)
            continue
        yield from _check_unanswered(open_calls)
        open_calls = [str(call.get("id")) for _, call in objects(message.get("tool_calls"))]
        if len(set(open_calls)) < len(open_calls):
            yield f"Invalid 'messages[{place}].tool_calls': the ids of tool calls must be unique."
    yield from _check_unanswered(open_calls)


def _check_unanswered(open_calls: list[str]) -> Iterator[str]:
    if open_calls:
        yield (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(open_calls)
        )


def _check_tools(body: Body) -> Iterator[str]:
    tools = body.get("tools")
    if tools is None:
        if body.get("tool_choice") not in (None, "none"):
            yield "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        return
    if not tools:
        yield (
            "Invalid 'tools': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead."
        )
    if len(tools) > MOST_TOOLS:
        yield _too_long("tools", MOST_TOOLS, len(tools))
    for place, tool in objects(tools):
        if tool.get("type") == "function":
            yield from _check_function(tool.get("function") or {}, f"tools[{place}].function")
    yield from _check_choice(body.get("tool_choice"), tools)


def _check_function(function: dict[str, Any], path: str) -> Iterator[str]:
    name = function.get("name")
    if not isinstance(name, str):
        yield f"Missing required parameter: '{path}.name'."
    elif not re.fullmatch(_NAME, name):
        yield (
            f"Invalid '{path}.name': string does not match pattern. "
            f"Expected a string that matches the pattern '{_NAME}'."
        )
    elif len(name) > _LONGEST_NAME:
        yield (
            f"Invalid '{path}.name': string too long. Expected a string with maximum length "
            f"{_LONGEST_NAME}, but got a string with length {len(name)} instead."
        )
    parameters = function.get("parameters")
    forbidden = {"oneOf", "anyOf", "allOf", "enum", "not"}
    if parameters and (parameters.get("type") != "object" or parameters.keys() & forbidden):
        yield (
            f"Invalid schema for function '{name}': schema must have type 'object' and not have "
            "'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
        )


def _check_choice(choice: object, tools: list[Any]) -> Iterator[str]:
    named = choice.get("function") if isinstance(choice, dict) else None
    names = [tool.get("function", {}).get("name") for _, tool in objects(tools)]
    if isinstance(named, dict) and named.get("name") not in names:
        yield f"Tool choice '{named.get('name')}' not found in 'tools' parameter."


def _check_stops(body: Body) -> Iterator[str]:
    given = body.get("stop")
    stops = [given] if isinstance(given, str) else given or []
    if len(stops) > MOST_STOPS:
        yield _too_long("stop", MOST_STOPS, len(stops))
    for place, stop in enumerate(stops):
        if stop == "":
            yield (
                f"Invalid 'stop[{place}]': empty string. Expected a string with minimum length 1, "
                "but got an empty string instead."
            )


def _too_long(name: str, most: int, length: int) -> str:
    return (
        f"Invalid '{name}': array too long. Expected an array with maximum length {most}, "
        f"but got an array with length {length} instead."
    )
