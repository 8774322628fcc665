"""Several answers to one request (`n`), through the real CLI."""

from __future__ import annotations

from typing import Any

import pytest
from openai import AsyncOpenAI, RateLimitError

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse, conversation
from tests.end_to_end.chatting import MODEL
from tests.end_to_end.comparing import asked, seen
from tests.end_to_end.running import RunningProxy, until


ASKED: list[Any] = [{"role": "user", "content": "/pick one @you"}]
TOOL: Any = {
    "type": "function",
    "function": {"name": "pick", "parameters": {"type": "object", "properties": {}}},
}


def script(upstream: ScriptedUpstream, *texts: str) -> None:
    """Let the model say something else in each answer."""
    upstream.script(*(Reply((Text(text),), input_tokens=10, output_tokens=2) for text in texts))


async def test_whole(sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Each answer is asked for once, with the same words; any of them can be continued, in place."""
    before = await proxy.settled()
    script(upstream, "one", "two", "three")
    answer = await sdk.chat.completions.create(model=MODEL, messages=ASKED, n=3)
    texts = [choice.message.content or "" for choice in answer.choices]
    assert sorted(texts) == ["one", "three", "two"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (30, 6)
    assert len(upstream.requests) == 3
    assert {str(conversation(request.body)) for request in upstream.requests} == {
        str(conversation(upstream.requests[0].body))
    }

    for text in texts:
        further: list[Any] = [
            *ASKED,
            {"role": "assistant", "content": text},
            {"role": "user", "content": "why?"},
        ]
        await sdk.chat.completions.create(model=MODEL, messages=further)
        assert seen(upstream) == asked(further)
    assert len(upstream.requests) == 6
    await until(lambda: len(proxy.access()) == before + 6)
    assert ["  live  " in rest for _, rest in proxy.access()[before:]] == [False] * 3 + [True] * 3


async def test_streamed(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """The choices come in one stream, each whole and in its order, with calls too."""
    upstream.script(
        Reply((Text("one"),)), Reply((Text("Let me see."), ToolUse("pick", {}))), Reply((Text("three"),))
    )
    stream = await sdk.chat.completions.create(
        model=MODEL, messages=ASKED, n=3, stream=True, tools=[TOOL], stream_options={"include_usage": True}
    )
    texts = {0: "", 1: "", 2: ""}
    reasons: dict[int, str] = {}
    calls: dict[int, str | None] = {}
    usages = []
    async for chunk in stream:
        usages += [chunk.usage] if chunk.usage else []
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons |= {choice.index: choice.finish_reason} if choice.finish_reason else {}
            for call in choice.delta.tool_calls or []:
                calls.setdefault(choice.index, call.function.name if call.function else "")
    assert sorted(texts.values()) == ["Let me see.", "one", "three"]
    asks = next(index for index, text in texts.items() if text == "Let me see.")
    assert calls == {asks: "pick"}
    assert reasons == {index: "tool_calls" if index == asks else "stop" for index in range(3)}
    assert len(usages) == 1
    assert len(upstream.requests) == 3


async def test_more_than_at_once(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """More answers than are made at a time come all the same."""
    answer = await sdk.chat.completions.create(model=MODEL, messages=ASKED, n=7)
    assert [choice.message.content for choice in answer.choices] == ["You said: /pick one @you"] * 7
    assert len(upstream.requests) == 7


async def test_completions(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """The older API has them too."""
    script(upstream, "one", "two")
    answer = await sdk.completions.create(model=MODEL, prompt="Say it.", n=2)
    assert sorted(choice.text for choice in answer.choices) == ["one", "two"]


async def test_a_plan_that_is_used_up(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """If the plan is used up, the request fails as one answer would, with the provider's words."""
    with pytest.raises(RateLimitError, match="limit"):
        await sdk.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "[[limit]]"}], n=3
        )
    await upstream.idle()
    assert 1 <= len(upstream.requests) <= 3
