"""What dialects read takes time in proportion to its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from claude_max_proxy.dialect import Dialect
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_completions import OpenAICompletions
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from tests.growth.growing import (
    anthropic,
    chat,
    holds,
    responses,
)


pytestmark = pytest.mark.slow


def called(name: str = "f", id_: str = "c") -> dict[str, Any]:
    """Return a call in the form of a chat completion."""
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": "{}"}}


BODIES: dict[str, tuple[Dialect, Callable[[int], dict[str, Any]], int]] = {
    "chat: results in a row": (
        OpenAIChat(),
        lambda n: chat(*[{"role": "tool", "tool_call_id": "c", "content": "r"}] * n),
        5000,
    ),
    "chat: results of functions in a row": (
        OpenAIChat(),
        lambda n: chat(
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            *[{"role": "function", "name": "f", "content": "r"}] * n,
        ),
        5000,
    ),
    "chat: turns with calls": (
        OpenAIChat(),
        lambda n: chat(
            *[
                {"role": "assistant", "tool_calls": [called()]},
                {"role": "tool", "tool_call_id": "c", "content": "r"},
            ]
            * n
        ),
        3000,
    ),
    "chat: unknown fields of the body": (
        OpenAIChat(),
        lambda n: chat(**{f"x{i}": 1 for i in range(n)}),
        5000,
    ),
    "chat: unknown fields of messages": (
        OpenAIChat(),
        lambda n: chat(*[{"role": "user", "content": "q", f"x{i}": [1]} for i in range(n)]),
        5000,
    ),
    "chat: parts": (
        OpenAIChat(),
        lambda n: chat({"role": "user", "content": [{"type": "text", "text": "t"}] * n}),
        10_000,
    ),
    "chat: tools": (
        OpenAIChat(),
        lambda n: chat(tools=[{"type": "function", "function": {"name": f"t{i}"}} for i in range(n)]),
        5000,
    ),
    "chat: allowed tools": (
        OpenAIChat(),
        lambda n: chat(
            tools=[{"type": "function", "function": {"name": f"t{i}"}} for i in range(n)],
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"function": {"name": f"t{i}"}} for i in range(n)],
                },
            },
        ),
        3000,
    ),
    "completions: unknown fields": (
        OpenAICompletions(),
        lambda n: {"model": "m", "prompt": "p", **{f"x{i}": 1 for i in range(n)}},
        5000,
    ),
    "messages: results in a row": (
        AnthropicMessages(),
        lambda n: anthropic(
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": f"c{i}"} for i in range(n)]}
        ),
        5000,
    ),
    "messages: reminders": (
        AnthropicMessages(),
        lambda n: anthropic(*[{"role": "system", "content": "s"}] * n),
        5000,
    ),
    "messages: found tools": (
        AnthropicMessages(),
        lambda n: anthropic(
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c",
                        "content": [{"type": "tool_reference", "tool_name": f"t{i}"} for i in range(n)],
                    }
                ],
            },
            tools=[{"name": f"t{i}", "input_schema": {}, "defer_loading": True} for i in range(n)],
        ),
        3000,
    ),
    "messages: unknown fields of blocks": (
        AnthropicMessages(),
        lambda n: anthropic(
            {"role": "user", "content": [{"type": "text", "text": "t", f"x{i}": 1} for i in range(n)]}
        ),
        5000,
    ),
    "responses: results in a row": (
        OpenAIResponses(),
        lambda n: responses(*[{"type": "function_call_output", "call_id": "c", "output": "r"}] * n),
        5000,
    ),
    "responses: one turn of calls": (
        OpenAIResponses(),
        lambda n: responses(
            *[{"type": "function_call", "call_id": f"c{i}", "name": "f", "arguments": "{}"} for i in range(n)]
        ),
        5000,
    ),
    "responses: unknown fields of items": (
        OpenAIResponses(),
        lambda n: responses(*[{"role": "user", "content": "q", f"x{i}": {"y": 1}} for i in range(n)]),
        5000,
    ),
    "responses: tools": (
        OpenAIResponses(),
        lambda n: responses(tools=[{"type": "function", "name": f"t{i}"} for i in range(n)]),
        5000,
    ),
    "responses: include": (OpenAIResponses(), lambda n: responses(include=["x"] * n), 20_000),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_dialect_reads_in_proportion(kind: str) -> None:
    """Reading a body takes time in proportion to its length, whatever it contains many of."""
    dialect, body, size = BODIES[kind]

    def make(count: int) -> Callable[[], Any]:
        raw = msgspec.json.encode(body(count))
        return lambda: dialect.open(raw).request

    holds(make, size)
