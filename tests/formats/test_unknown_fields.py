"""Fields that no schema knows: left out, and named once each, in every dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import inspect

from claude_max_proxy import InvalidRequest, formats
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages
from claude_max_proxy.dialects.anthropic_messages.schemas import MessagesRequest, WireTool
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_chat.schemas import ChatCompletionRequest
from claude_max_proxy.dialects.openai_completions import OpenAICompletions
from claude_max_proxy.dialects.openai_completions.schemas import CompletionRequest
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from claude_max_proxy.dialects.openai_responses.schemas import ITEMS, TOOLS, ResponseRequest


X = {"x": 1}
URL = {"url": "data:image/png;base64,iVBORw0KGgo=", **X}
FUNCTION = {"name": "f", "parameters": {"type": "object", "x": 1}, **X}
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s", **X},
        {"role": "user", "content": [{"type": "text", "text": "t", **X}, {"type": "text", "text": "u", **X}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": URL}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "index": 0, "function": {"name": "f", "arguments": "{}", **X}, **X}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ],
    "tools": [{"type": "function", "function": FUNCTION, **X}],
    "tool_choice": {"type": "function", "function": {"name": "f", **X}, **X},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object", **X}, **X},
        **X,
    },
    "stream_options": {"include_usage": True, "include_obfuscation": False, **X},
    "metadata": X,
    **X,
}
RESPONSES = {
    "model": "m",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "t", **X}], **X},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "t", **X}]},
        {
            "type": "message",
            "id": "i",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "t", "annotations": [], "logprobs": []}],
        },
    ],
    "tools": [{"type": "function", "name": "f", "parameters": X, **X}],
    "reasoning": {"effort": "low", **X},
    "text": {"format": {"type": "text", **X}, **X},
    "metadata": {"x": "1"},
    **X,
}
MESSAGES = {
    "model": "m",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "s", **X}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "t", **X}], **X},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": X}]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "t", **X}]}
            ],
        },
    ],
    "thinking": {"type": "adaptive", **X},
    "output_config": {"effort": "low", **X},
    "metadata": {"user_id": "u", **X},
    **X,
}
CASES: list[tuple[Dialect, dict[str, Any], set[str]]] = [
    (
        OpenAIChat(),
        CHAT,
        {
            "x",
            "messages.x",
            "messages.content.x",
            "messages.content.image_url.x",
            "messages.tool_calls.x",
            "messages.tool_calls.function.x",
            "tools.x",
            "tools.function.x",
            "tool_choice.x",
            "tool_choice.function.x",
            "response_format.x",
            "response_format.json_schema.x",
            "stream_options.x",
        },
    ),
    (OpenAICompletions(), {"model": "m", "prompt": "p", "stream_options": X, **X}, {"x", "stream_options.x"}),
    (
        OpenAIResponses(),
        RESPONSES,
        {
            "x",
            "input.x",
            "input.content.x",
            "input.summary.x",
            "tools.x",
            "reasoning.x",
            "text.x",
            "text.format.x",
        },
    ),
    (
        AnthropicMessages(),
        MESSAGES,
        {
            "x",
            "system.x",
            "messages.x",
            "messages.content.x",
            "messages.content.content.x",
            "thinking.x",
            "output_config.x",
            "metadata.x",
        },
    ),
]


@pytest.mark.parametrize(("dialect", "body", "names"), CASES, ids=[case[0].name for case in CASES])
def test_unknown_fields(dialect: Dialect, body: dict[str, Any], names: set[str]) -> None:
    """Every unknown field is named once, by its path, except in places where a client may write any field."""
    request = dialect.open(msgspec.json.encode(body)).request
    assert {name for name in request.ignored if name.endswith("x")} == names
    assert len(request.ignored) == len(set(request.ignored))


def test_errors_keep_their_paths() -> None:
    """A wrong field next to an unknown one is refused with its path."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi", **X}], "temperature": "hot", **X}
    with pytest.raises(InvalidRequest) as caught:
        OpenAIChat().open(msgspec.json.encode(body))
    assert caught.value.param == "temperature"


def test_an_unknown_kind() -> None:
    """What is of a kind that no schema knows is left to the refusal, whatever its fields are."""
    messages = [{"role": "user", "content": "hi", **X}, {"role": "wizard", **X}]
    with pytest.raises(InvalidRequest) as caught:
        OpenAIChat().open(msgspec.json.encode({"model": "m", "messages": messages, **X}))
    assert caught.value.param == "messages[1].role"


class Described(formats.Schema):
    """A struct with a field that has a description."""

    inner: Annotated[CompletionRequest, msgspec.Meta(description="what is asked")]


def test_described_fields() -> None:
    """A description of a field, which a plugin's dialect may have, does not hide what is inside."""
    names: list[str] = []
    body = {"inner": {"model": "m", "prompt": "p", **X}, **X}
    assert formats.convert(body, Described, "here", names).inner.prompt == "p"
    assert sorted(names) == ["here.inner.x", "here.x"]


def test_names_are_bounded() -> None:
    """Names that clients make up are limited in number, and contain nothing that a header cannot contain."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    many = {f"field-{number}": 1 for number in range(1000)}
    assert len(OpenAIChat().open(msgspec.json.encode(body | many)).request.ignored) == 50
    odd = {"ü\r\n" + "x" * 500: 1}
    assert OpenAIChat().open(msgspec.json.encode(body | odd)).request.ignored == ["???" + "x" * 61]


def structs(info: inspect.Type) -> Iterator[type]:
    """Return every struct that a type contains."""
    match info:
        case inspect.Metadata(type=inner) | inspect.ListType(item_type=inner):
            yield from structs(inner)
        case inspect.UnionType(types=types):
            for one in types:
                yield from structs(one)
        case inspect.StructType(cls=cls, fields=fields):
            yield cls
            for field in fields:
                yield from structs(field.type)
        case _:
            pass


BODIES = [ChatCompletionRequest, CompletionRequest, ResponseRequest, MessagesRequest]


@pytest.mark.parametrize("body", [*BODIES, *ITEMS.values(), *TOOLS.values()])
def test_every_schema_knows_its_fields(body: type) -> None:
    """No struct of a body accepts unknown fields without naming them."""
    lax = {cls for cls in structs(inspect.type_info(body)) if not issubclass(cls, formats.Schema)}
    assert lax - {WireTool} == set()
