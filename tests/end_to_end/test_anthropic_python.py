"""Anthropic's own Python client, with the proxy and the real CLI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import anthropic
import openai
import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from anthropic.types import MessageParam, ToolParam, WebSearchTool20250305Param

from claude_max_proxy.testing import RedactedThinking, Reply, ScriptedUpstream, Text, Thinking, ToolUse
from tests.end_to_end.comparing import seen, seen_system
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import CALL_ID, MODELS, live, new_model, openai_client


PROXY_TOML = MODELS
MARK = {"cache_control": {"type": "ephemeral"}}
LOOK: ToolParam = {
    "name": "look",
    "description": "Looks.",
    "input_schema": {"type": "object", "properties": {}},
}
TAKE: ToolParam = {
    "name": "take",
    "description": "Takes.",
    "input_schema": {"type": "object", "properties": {}},
}
THOUGHT = {"type": "thinking", "thinking": "Let me see.", "signature": "signed-11"}
REDACTED = {"type": "redacted_thinking", "data": "EoFn"}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

Message = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="module")
async def sdk(proxy: RunningProxy) -> AsyncIterator[AsyncAnthropic]:
    """Return the client, set up as any user would."""
    http = DefaultAsyncHttpxClient(trust_env=False)
    async with AsyncAnthropic(
        base_url=proxy.url, api_key="not-needed", max_retries=0, http_client=http
    ) as client:
        yield client


def user(content: Any) -> Message:
    """Return a user's message."""
    return {"role": "user", "content": content}


def as_typed(messages: list[Message]) -> list[MessageParam]:
    """Say to the type checker what the client takes; messages stay as they are, whatever they contain."""
    return cast("list[MessageParam]", messages)


def texts_of(message: anthropic.types.Message) -> list[str]:
    """Return the text of each block; there must be no other blocks."""
    assert {block.type for block in message.content} == {"text"}
    return [block.text for block in message.content if block.type == "text"]


def error_of(error: anthropic.APIStatusError) -> dict[str, Any]:
    """Return the error in the body of an answer."""
    assert isinstance(error.body, dict)
    return cast("dict[str, Any]", error.body["error"])


async def hear(
    sdk: AsyncAnthropic, model: str, messages: list[Message], **fields: Any
) -> anthropic.types.Message:
    """Ask for a stream, and return the message that the client puts together."""
    async with sdk.messages.stream(
        model=model, max_tokens=2000, messages=as_typed(messages), **fields
    ) as stream:
        return await stream.get_final_message()


def assistants(upstream: ScriptedUpstream) -> list[Message]:
    """Return the content of each of the assistant's messages in the newest request."""
    messages = upstream.requests[-1].body["messages"]
    return [block for one in messages if one["role"] == "assistant" for block in one["content"]]


async def test_a_conversation(sdk: AsyncAnthropic, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Each turn, whole or streamed, goes upstream once, unchanged, and continues in the same process."""
    model, messages = new_model(), [user("/turn 0 @file\n")]
    for number in range(4):
        if number % 2:
            message = await hear(sdk, model, messages, system=[{"type": "text", "text": "Be short.", **MARK}])
        else:
            message = await sdk.messages.create(
                model=model, max_tokens=2000, messages=as_typed(messages), system="Be short."
            )
        assert (message.model, message.stop_reason, message.stop_sequence) == (model, "end_turn", None)
        assert message.id.startswith("msg_")
        assert message.usage.input_tokens > 0
        assert message.usage.output_tokens > 0
        assert [block.type for block in message.content] == ["text"]
        assert texts_of(message) == [f"You said: /turn {number} @file\n"]
        assert len(upstream.requests) == number + 1
        assert seen_system(upstream) == "Be short."
        assert seen(upstream)[-1] == ("user", [("text", f"/turn {number} @file\n")])
        messages += [
            {"role": "assistant", "content": message.content},
            user([{"type": "text", "text": f"/turn {number + 1} @file\n", **MARK}]),
        ]
    assert await live(proxy, model, 4) == [False, True, True, True]


async def test_a_tool_loop(sdk: AsyncAnthropic, proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """Each step costs one request and continues in the same process, although the cache marks move."""
    model, calls = new_model(), (ToolUse("look", {"where": "here"}), ToolUse("take", {"of": ["a", "ü"]}))
    steps = [
        Reply((Thinking("Let me see."), RedactedThinking("EoFn"), Text("I look."), calls[0])),
        Reply(calls),
        Reply((Thinking("Let me see."), calls[1])),
        Reply((Text("Done."),)),
    ]
    upstream.script(*steps)
    messages: list[Message] = [user([{"type": "text", "text": "work", **MARK}])]
    for number in range(len(steps)):
        message = await hear(
            sdk, model, messages, tools=[LOOK, {**TAKE, **MARK}], thinking={"type": "adaptive"}
        )
        assert len(upstream.requests) == number + 1
        content = [block.model_dump(exclude_none=True) for block in message.content]
        messages[-1]["content"][-1].pop("cache_control")
        messages.append({"role": "assistant", "content": content})
        used = [block for block in content if block["type"] == "tool_use"]
        assert all(CALL_ID.fullmatch(block["id"]) for block in used)
        if used:
            assert message.stop_reason == "tool_use"
            results = [
                {"type": "tool_result", "tool_use_id": block["id"], "content": f"/{block['name']} {number}"}
                for block in used
            ]
            results[-1] |= MARK
            messages.append(user(results))
    assert message.stop_reason == "end_turn"
    assert messages[1]["content"][:2] == [THOUGHT, REDACTED]
    assert messages[3]["content"][1]["input"] == {"of": ["a", "ü"]}
    assert [block["type"] for block in assistants(upstream)] == [
        *("thinking", "redacted_thinking", "text", "tool_use"),
        *("tool_use", "tool_use", "thinking", "tool_use"),
    ]
    assert await live(proxy, model, 4) == [False, True, True, True]


@pytest.mark.parametrize("first", ["Hello", "Hello!"], ids=["live", "replayed"])
async def test_signed_thoughts(
    first: str, sdk: AsyncAnthropic, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """The model's thoughts arrive signed and are sent back signed, in the same process and in a replay."""
    model, messages = new_model(), [user("hi")]
    upstream.script(Reply((Thinking("Let me see."), RedactedThinking("EoFn"), Text("Hello"))))
    message = await hear(sdk, model, messages, thinking={"type": "adaptive"})
    content = [block.model_dump(exclude_none=True) for block in message.content]
    assert content == [THOUGHT, REDACTED, {"type": "text", "text": "Hello"}]

    said = [*content[:2], {"type": "text", "text": first}]
    messages += [{"role": "assistant", "content": said}, user("and?")]
    await hear(sdk, model, messages, thinking={"type": "adaptive"})
    assert assistants(upstream) == said
    assert await live(proxy, model, 2) == [False, first == "Hello"]


async def test_thoughts_that_cannot_go_back(sdk: AsyncAnthropic, upstream: ScriptedUpstream) -> None:
    """A thought without a signature, for example of another provider's model, is left out of the history."""
    content = [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "Hello"}]
    messages = [user("a thought of mine"), {"role": "assistant", "content": content}, user("and?")]
    await hear(sdk, new_model(), messages, thinking={"type": "adaptive"})
    assert assistants(upstream) == content[1:]


async def test_parameters(sdk: AsyncAnthropic, upstream: ScriptedUpstream) -> None:
    """Limit, stops, sampling and effort arrive; a client that asks for no thinking gets none."""
    upstream.script(
        Reply((Text("a"),), stop_reason="stop_sequence", stop_sequence="END"), Reply((Text("a"),))
    )
    message = await sdk.messages.create(
        model="claude-haiku-4-5",
        max_tokens=1234,
        messages=as_typed([user("hi")]),
        stop_sequences=["END"],
        extra_body={"temperature": 0.5},
        metadata={"user_id": "me"},
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    body = upstream.requests[-1].body
    assert (body["max_tokens"], body["stop_sequences"], body["temperature"]) == (1234, ["END"], 0.5)
    assert "thinking" not in body

    await sdk.messages.create(
        model=new_model(),
        max_tokens=8000,
        messages=as_typed([user("hi")]),
        thinking={"type": "enabled", "budget_tokens": 2000},
    )
    body = upstream.requests[-1].body
    assert (body["thinking"]["type"], body["output_config"]["effort"]) == ("adaptive", "low")


async def test_every_content(sdk: AsyncAnthropic, upstream: ScriptedUpstream) -> None:
    """Images and documents, also in a tool's result, arrive unchanged."""
    image: Message = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    document: Message = {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "Once."},
        "title": "a.txt",
    }
    result: Message = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image, document]}
    call: Message = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    messages = [
        user([image, document, {"type": "text", "text": "look"}]),
        {"role": "assistant", "content": [call]},
        user([result, {"type": "text", "text": "so?"}]),
    ]
    await sdk.messages.create(model=new_model(), max_tokens=2000, messages=as_typed(messages), tools=[LOOK])
    sent = [one["content"] for one in upstream.requests[-1].body["messages"] if one["role"] == "user"]
    shown = [
        {name: value for name, value in block.items() if name != "cache_control"}
        for content in sent
        for block in content
        if not str(block.get("text", "")).startswith("<system-reminder>")
    ]
    assert shown == [
        *messages[0]["content"],
        {**result, "tool_use_id": "toolu1"},
        {"type": "text", "text": "so?"},
    ]


async def test_a_structured_answer(sdk: AsyncAnthropic, upstream: ScriptedUpstream) -> None:
    """An answer with a schema is the text of one block."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    upstream.script(Reply((ToolUse("StructuredOutput", {"city": "Bern"}),)), Reply((Text("ok"),)))
    message = await sdk.messages.create(
        model=new_model(),
        max_tokens=2000,
        messages=as_typed([user("Where?")]),
        extra_body={"output_config": {"format": {"type": "json_schema", "schema": schema}}},
    )
    assert texts_of(message) == ['{"city":"Bern"}']
    assert message.stop_reason == "end_turn"


async def test_a_count(sdk: AsyncAnthropic, upstream: ScriptedUpstream) -> None:
    """A count costs no request; it is an estimate, and says so."""
    raw = await sdk.messages.with_raw_response.count_tokens(
        model=new_model(), messages=as_typed([user("word " * 700)]), tools=[LOOK]
    )
    counted = await raw.parse()
    assert 1000 < counted.input_tokens < 1100
    assert raw.headers["x-proxy-estimated"] == "true"
    assert upstream.requests == []


async def test_failures(sdk: AsyncAnthropic) -> None:
    """Each failure is the client's own exception for it, with the path of the field."""
    ask: dict[str, Any] = {"model": new_model(), "max_tokens": 2000, "messages": [user("hi")]}
    with pytest.raises(anthropic.NotFoundError) as unknown:
        await sdk.messages.create(**{**ask, "model": "gpt-nothing"})
    assert error_of(unknown.value)["type"] == "not_found_error"
    assert unknown.value.request_id

    search: WebSearchTool20250305Param = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(anthropic.BadRequestError, match=r"tools\[0\]: this tool"):
        await sdk.messages.create(**ask, tools=[search])
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\].content\[0\]"):
        await sdk.messages.create(**{**ask, "messages": [user([{"type": "text"}])]})
    with pytest.raises(anthropic.APIStatusError) as overloaded:
        await sdk.messages.create(**{**ask, "messages": [user("[[status 529 Overloaded]]")]})
    assert overloaded.value.status_code == 529
    assert error_of(overloaded.value)["type"] == "overloaded_error"


async def test_a_completion(proxy: RunningProxy, upstream: ScriptedUpstream) -> None:
    """OpenAI's completions API answers too, whole and streamed."""
    async with openai_client(proxy) as client:
        ask: dict[str, Any] = {"model": new_model(), "prompt": "Once upon", "max_tokens": 2000}
        whole = await client.completions.create(**ask)
        stream = await client.completions.create(**ask, echo=True, stream=True)
        text = "".join([choice.text async for chunk in stream for choice in chunk.choices])
        with pytest.raises(openai.BadRequestError, match="prompt: tokens"):
            await client.completions.create(model=new_model(), prompt=[1, 2])
    assert whole.choices[0].text == "You said: Once upon"
    assert whole.choices[0].finish_reason == "stop"
    assert text == "Once uponYou said: Once upon"
    assert seen(upstream) == [("user", [("text", "Once upon")])]


async def test_models(sdk: AsyncAnthropic) -> None:
    """The models are listed for Anthropic's client too."""
    names = [model.id async for model in sdk.models.list()]
    assert {"claude-opus-4", "claude-sonnet-4", "claude-haiku-4"} <= set(names)
