"""What the scripted OpenAI-compatible server refuses."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy.testing.openai_strictness import refusal


BASE = {"model": "gpt", "messages": [{"role": "user", "content": "Hello!"}]}
UNANSWERED = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
    "'tool_call_id'. The following tool_call_ids did not have response messages: a"
)
ORPHAN = (
    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
    "with 'tool_calls'."
)
NAME = (
    "Invalid 'tools[0].function.name': string does not match pattern. "
    "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
)
KINDS = {"array": "an array", "string": "a string"}
ROOT = (
    "Invalid schema for function 'look': schema must have type 'object' and not have "
    "'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
)


def empty(what: str, kind: str = "array") -> str:
    """Return OpenAI's words for a value that is empty."""
    return (
        f"Invalid '{what}': empty {kind}. Expected {KINDS[kind]} with minimum length 1, "
        f"but got an empty {kind} instead."
    )


def long(what: str, most: int, length: int, kind: str = "array") -> str:
    """Return OpenAI's words for a value that is too long."""
    return (
        f"Invalid '{what}': {kind} too long. Expected {KINDS[kind]} with maximum length {most}, "
        f"but got {KINDS[kind]} with length {length} instead."
    )


def having(name: str = "look", **parameters: Any) -> dict[str, Any]:
    """Return the change that offers a tool."""
    function = {"name": name, "parameters": parameters or {"type": "object"}}
    return {"tools": [{"type": "function", "function": function}]}


def led(*results: str, calls: tuple[str, ...] = ("a",)) -> dict[str, Any]:
    """Return a conversation in which the model called, and results with these ids came back."""
    called = [
        {"id": one, "type": "function", "function": {"name": "look", "arguments": "{}"}} for one in calls
    ]
    answers = [{"role": "tool", "tool_call_id": one, "content": "seen"} for one in results]
    return {
        "messages": [
            {"role": "user", "content": "Look!"},
            {"role": "assistant", "tool_calls": called},
            *answers,
        ]
    }


def choosing(name: str) -> dict[str, Any]:
    """Return the change that offers a tool and forces one."""
    return having() | {"tool_choice": {"type": "function", "function": {"name": name}}}


CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("you must provide a model parameter", {"model": ""}, {}),
    ("Missing required parameter: 'messages'.", {"messages": None}, {}),
    (empty("messages"), {"messages": []}, {}),
    (
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
        {"temperature": 2.5},
        {"temperature": 2},
    ),
    (
        "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        {"n": 0},
        {"n": 1},
    ),
    (UNANSWERED, led(), led("a")),
    (UNANSWERED, led("b", calls=("a", "b")), led("b", "a", calls=("a", "b"))),
    (ORPHAN, led("a", "b"), led("a")),
    (
        "Invalid 'messages[1].tool_calls': the ids of tool calls must be unique.",
        led("a", "a", calls=("a", "a")),
        led("a", "b", calls=("a", "b")),
    ),
    (NAME, having("a.b"), having("a_b")),
    (long("tools[0].function.name", 64, 65, "string"), having("a" * 65), having("a" * 64)),
    (long("tools", 128, 129), {"tools": having()["tools"] * 129}, {"tools": having()["tools"] * 128}),
    (empty("tools"), {"tools": []}, having()),
    (ROOT, having(type="array"), having(type="object")),
    (ROOT, having(type="object", anyOf=[{}]), having(type="object", properties={"a": {"anyOf": [{}]}})),
    ("Tool choice 'see' not found in 'tools' parameter.", choosing("see"), choosing("look")),
    (
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        {"tool_choice": "auto"},
        {"tool_choice": "none"},
    ),
    (long("stop", 4, 5), {"stop": ["a"] * 5}, {"stop": ["a"] * 4}),
    (empty("stop[0]", "string"), {"stop": ""}, {"stop": " "}),
]


def judge(changes: dict[str, Any]) -> str:
    """Return the refusal of a request with these changes; empty if it is answered."""
    fault = refusal({name: value for name, value in (BASE | changes).items() if value is not None})
    return fault.message if fault else ""


@pytest.mark.parametrize(("message", "bad", "good"), CASES)
def test_the_fault_alone_is_refused(message: str, bad: dict[str, Any], good: dict[str, Any]) -> None:
    """The server refuses the fault in OpenAI's words, and nothing else."""
    assert judge(bad) == message
    assert judge(good) == ""
