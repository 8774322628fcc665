"""Tools in the API's older form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI

from claude_max_proxy.testing import Reply, ScriptedUpstream, ToolUse
from tests.end_to_end.comparing import seen
from tests.end_to_end.working import (
    MODELS,
    TOOLS,
    Message,
    user,
)


PROXY_TOML = MODELS


@pytest.mark.parametrize("stream", [False, True])
async def test_legacy_functions(stream: bool, sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """`functions` are called by `function_call`, one at a time, and their results are accepted."""
    upstream.script(Reply((ToolUse("look", {"where": "here"}),)))
    functions = [tool["function"] for tool in TOOLS]
    messages: list[Message] = [user("work")]

    call, reason = await _legacy(sdk, messages, functions, stream=stream)
    messages += [
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "look", "content": "found"},
    ]
    _, last = await _legacy(sdk, messages, functions, stream=stream)

    assert (call["name"], json.loads(call["arguments"]), reason) == (
        "look",
        {"where": "here"},
        "function_call",
    )
    assert last == "stop"
    assert seen(upstream) == [
        ("user", [("text", "work")]),
        ("assistant", [("call", 0, "look", {"where": "here"})]),
        ("user", [("result", 0, [("text", "found")])]),
    ]
    choices = [request.body["tool_choice"] for request in upstream.requests]
    assert choices == [{"type": "auto", "disable_parallel_tool_use": True}] * 2


async def _legacy(
    sdk: AsyncOpenAI, messages: list[Message], functions: list[dict[str, Any]], *, stream: bool
) -> tuple[dict[str, str], str | None]:
    """Ask in the older form; return the call and the reason."""
    fields: dict[str, Any] = {"model": "claude-sonnet-4", "messages": messages, "functions": functions}
    if not stream:
        choice = (await sdk.chat.completions.create(**fields, function_call="auto")).choices[0]
        call = choice.message.function_call
        return ({"name": call.name, "arguments": call.arguments} if call else {}), choice.finish_reason

    heard, reason = {"name": "", "arguments": ""}, None
    async for chunk in await sdk.chat.completions.create(**fields, function_call="auto", stream=True):
        delta = chunk.choices[0].delta
        if delta.function_call is not None:
            heard["name"] += delta.function_call.name or ""
            heard["arguments"] += delta.function_call.arguments or ""
        reason = chunk.choices[0].finish_reason or reason
    return heard, reason
