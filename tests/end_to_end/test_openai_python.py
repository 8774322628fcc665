"""OpenAI's own Python client, whole and streamed, over conversations of ten turns."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncOpenAI, NotFoundError

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.chatting import MODEL
from tests.end_to_end.comparing import asked, seen, seen_system
from tests.end_to_end.running import RunningProxy, until
from tests.end_to_end.working import as_typed


TURNS = 10


@pytest_asyncio.fixture(loop_scope="module")
async def openai(proxy: RunningProxy) -> AsyncIterator[AsyncOpenAI]:
    """Return the client, set up as any user would."""
    async with AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key="not-needed", max_retries=0) as client:
        yield client


async def _whole(client: AsyncOpenAI, messages: list[dict[str, Any]]) -> str:
    reply = await client.chat.completions.create(model=MODEL, messages=as_typed(messages))
    assert reply.model == MODEL
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens > 0
    return reply.choices[0].message.content or ""


async def _streamed(client: AsyncOpenAI, messages: list[dict[str, Any]]) -> str:
    stream = await client.chat.completions.create(
        model=MODEL, messages=as_typed(messages), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {MODEL}
    *body, last = chunks
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.prompt_tokens > 0
    assert all(chunk.usage is None for chunk in body)
    assert body[0].choices[0].delta.role == "assistant"
    finishes = [chunk.choices[0].finish_reason for chunk in body if chunk.choices[0].finish_reason]
    assert finishes == ["stop"]
    return "".join(chunk.choices[0].delta.content or "" for chunk in body)


@pytest.mark.parametrize("say", [_whole, _streamed], ids=["whole", "streamed"])
async def test_ten_turns(
    say: Any, openai: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """Each turn goes upstream once, unchanged; each but the first continues in the same process."""
    before = await proxy.settled()
    messages: list[dict[str, Any]] = [{"role": "system", "content": "Be short."}]
    for number in range(TURNS):
        messages.append({"role": "user", "content": f"{say.__name__} /turn {number} @file\n"})
        text = await say(openai, messages)
        assert len(upstream.requests) == number + 1
        assert asked(messages) == seen(upstream)
        assert seen_system(upstream) == "Be short."
        assert text == f"You said: {say.__name__} /turn {number} @file\n"
        messages.append({"role": "assistant", "content": text})

    await until(lambda: len(proxy.access()) == before + TURNS)
    lines = [(status, "  live  " in rest) for status, rest in proxy.access()[before:]]
    assert lines == [(200, False), *[(200, True)] * (TURNS - 1)]


async def test_words_as_they_come(openai: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A streamed reply has the upstream's deltas, and a whole one the same text."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": "[[think Let me see.]] [[deltas 50]]"}]
    stream = await openai.chat.completions.create(model=MODEL, messages=as_typed(messages), stream=True)
    deltas = [chunk.choices[0].delta async for chunk in stream]
    whole = await openai.chat.completions.create(model=MODEL, messages=as_typed(messages))

    contents = [delta.content for delta in deltas if delta.content]
    assert len(contents) == 50
    assert "".join(contents) == whole.choices[0].message.content
    thoughts = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert thoughts == "Let me see."
    assert whole.choices[0].message.model_dump()["reasoning_content"] == "Let me see."


async def test_models(openai: AsyncOpenAI) -> None:
    """The models are listed, and each can be retrieved; an unknown one is not found."""
    names = [model.id async for model in openai.models.list()]

    assert {"claude-opus-4", "claude-sonnet-4", "claude-haiku-4"} <= set(names)
    assert (await openai.models.retrieve("claude-opus-4")).id == "claude-opus-4"
    with pytest.raises(NotFoundError) as caught:
        await openai.models.retrieve("gpt-nothing")
    assert caught.value.code == "model_not_found"
