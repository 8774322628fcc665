"""Answers that follow a schema: the CLI's own structured output, checked before a client gets it."""

from __future__ import annotations

import json
from typing import Any

import openai
import pydantic
import pytest
from openai import AsyncOpenAI

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import (
    MODELS,
    function,
    hear,
    live,
    new_model,
    offered,
    result,
    user,
)


PROXY_TOML = MODELS
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ADA: dict[str, Any] = {"name": 'Ada "ü"\n', "age": 36}
VALID, INVALID = ToolUse("StructuredOutput", ADA), ToolUse("StructuredOutput", {"name": "Ada", "age": "old"})
STRICT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "person", "strict": True, "schema": SCHEMA},
}
LOOSE: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
ANY: dict[str, Any] = {"type": "json_object"}
TOOLS = [function("look")]


class Person(pydantic.BaseModel):
    """An object that the model is asked for."""

    name: str
    age: int


async def ask(
    sdk: AsyncOpenAI, format: dict[str, Any], *, stream: bool, **fields: Any
) -> tuple[str, str | None]:
    """Ask for an answer in this format; return its text and why it ended."""
    fields = {"model": new_model(), "messages": [user("who?")], "response_format": format, **fields}
    if stream:
        heard = await hear(sdk, **fields)
        return heard.text, heard.reason

    choice = (await sdk.chat.completions.create(**fields)).choices[0]
    return choice.message.content or "", choice.finish_reason


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("format", [STRICT, LOOSE, ANY], ids=["strict", "loose", "any object"])
async def test_the_answer_is_the_object(
    format: dict[str, Any], stream: bool, sdk: AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    """The text of the answer is the JSON, nothing else, and the model knew the schema."""
    upstream.script(Reply((VALID,)))

    text, reason = await ask(sdk, format, stream=stream)

    assert (json.loads(text), reason) == (ADA, "stop")
    (tool,) = upstream.requests[0].body["tools"]
    properties = tool["input_schema"].get("properties", {})
    assert properties == ({} if format is ANY else SCHEMA["properties"])
    assert len(upstream.requests) == 1


async def test_parse(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """The SDK's `parse` returns an object of the requested class."""
    upstream.script(Reply((VALID,)))

    completion = await sdk.chat.completions.parse(
        model=new_model(), messages=[{"role": "user", "content": "who?"}], response_format=Person
    )

    assert completion.choices[0].message.parsed == Person(**ADA)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "replies",
    [
        (Reply((Text("Let me think."), VALID)),),
        (Reply((Text("It is Ada."),)), Reply((VALID,))),
    ],
    ids=["in one message", "in a message of its own"],
)
async def test_talk_is_left_out(
    replies: tuple[Reply, ...], stream: bool, sdk: AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    """What the model writes in addition to the object is not part of the answer."""
    upstream.script(*replies)

    text, reason = await ask(sdk, STRICT, stream=stream)

    assert (json.loads(text), reason) == (ADA, "stop")


async def test_second_try(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A whole answer that does not follow the schema is not sent: the model's second try is."""
    upstream.script(Reply((INVALID,)), Reply((VALID,)))

    text, reason = await ask(sdk, STRICT, stream=False)

    assert (json.loads(text), reason) == (ADA, "stop")
    assert len(upstream.requests) == 2


async def test_invalid_while_streaming(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A streamed answer cannot be taken back: if it turns out wrong, the stream ends with an error."""
    upstream.script(Reply((INVALID,)), Reply((VALID,)))

    with pytest.raises(openai.APIError) as caught:
        await ask(sdk, STRICT, stream=True)

    assert caught.value.code == "invalid_output"


async def test_never(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """If a model never returns the object, that is an error of the upstream, and no answer."""
    upstream.answer_with(lambda _: Reply((Text("It is Ada."),)))

    with pytest.raises(openai.APIStatusError) as whole:
        await ask(sdk, STRICT, stream=False)
    with pytest.raises(openai.APIError) as streamed:
        await ask(sdk, STRICT, stream=True)

    assert (whole.value.status_code, whole.value.code) == (502, "invalid_output")
    assert streamed.value.code == "invalid_output"


async def test_never_valid(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """If every try of a model breaks the schema, that is an upstream's error, after a few tries."""
    upstream.answer_with(lambda _: Reply((INVALID,)))

    with pytest.raises(openai.APIStatusError) as caught:
        await ask(sdk, STRICT, stream=False)

    assert (caught.value.status_code, caught.value.code) == (502, "invalid_output")
    assert len(upstream.requests) < 12


@pytest.mark.parametrize("stream", [False, True])
async def test_with_tools(
    stream: bool, sdk: AsyncOpenAI, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """With tools in the same request, a tool is called first, and its result leads to the object."""
    upstream.script(Reply((ToolUse("look", {"where": "here"}),)), Reply((VALID,)))
    model, messages = new_model(), [user("who?")]

    heard = await hear(sdk, model, messages, tools=TOOLS, response_format=STRICT)
    messages += [heard.message, result(heard.calls[0]["id"], "Ada, 36")]
    text, reason = await ask(sdk, STRICT, stream=stream, model=model, messages=messages, tools=TOOLS)

    assert (heard.text, heard.reason) == ("", "tool_calls")
    assert (json.loads(text), reason) == (ADA, "stop")
    assert sorted(offered(upstream)) == ["StructuredOutput", "look"]
    assert await live(proxy, model, 2) == [False, True]
    assert len(upstream.requests) == 2


async def test_next_turn(sdk: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    """A conversation continues after an object, in the same format or as plain text."""
    upstream.script(Reply((VALID,)), Reply((VALID,)), Reply((Text("Ada it was."),)))
    messages = [user("who?")]
    model = new_model()
    for format in (STRICT, STRICT, {"type": "text"}):
        text, _ = await ask(sdk, format, stream=True, model=model, messages=messages)
        messages += [{"role": "assistant", "content": text}, user("and then?")]

    assert text == "Ada it was."
    assert [json.loads(message["content"]) for message in messages[1:4:2]] == [ADA, ADA]
