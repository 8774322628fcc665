"""The output of the OpenAI dialects is checked with the schemas that OpenAI publishes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from claude_max_proxy import ClientError, Event, Failed, ProxyError, UsageLimitReached, fold
from claude_max_proxy.dialect import Dialect, Writer
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_completions import OpenAICompletions
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from claude_max_proxy.errors import ContextLengthExceeded, Overloaded
from claude_max_proxy.formats.sse import Decoder
from tests.dialects.answers import ANSWERS
from tests.openai_schema import check, check_event


OBJECT: dict[str, Any] = {"type": "object", "properties": {}}
CHATS: dict[str, dict[str, Any]] = {
    "plain": {},
    "usage": {"stream_options": {"include_usage": True}},
    "tools": {"tools": [{"type": "function", "function": {"name": "read", "parameters": OBJECT}}]},
    "functions": {"functions": [{"name": "read"}]},
}
RESPONSES: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        "instructions": "Be brief.",
        "tools": [
            {"type": "function", "name": "read", "parameters": OBJECT, "strict": True},
            {"type": "function", "name": "bare"},
            {"type": "custom", "name": "patch"},
            {
                "type": "namespace",
                "name": "box",
                "description": "A box.",
                "tools": [{"type": "function", "name": "read", "parameters": OBJECT, "strict": False}],
            },
            {"type": "web_search"},
        ],
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "json_schema", "name": "x", "schema": OBJECT}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "read"},
        "parallel_tool_calls": False,
        "max_output_tokens": 100,
        "max_tool_calls": 2,
        "metadata": {"a": "b"},
        "user": "u",
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "temperature": 0,
        "top_p": 0.5,
        "truncation": "auto",
        "store": False,
    },
    "allowed": {
        "tools": [{"type": "custom", "name": "patch", "format": {"type": "text"}}],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "custom", "name": "patch"}],
        },
    },
}
ERRORS = (
    Overloaded("busy", retry_after=3),
    ClientError("no", param="input[0]"),
    ContextLengthExceeded("too long"),
    UsageLimitReached("the plan's window is used up"),
)


def writer_of(dialect: Dialect, fields: dict[str, Any]) -> Writer:
    """Return the writer for the answer to a body with these fields."""
    said = {"prompt": "hi"} if isinstance(dialect, OpenAICompletions) else {"input": "hi"}
    least = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]} | said
    return dialect.open(msgspec.json.encode(least | fields)).writer


def streamed(dialect: Dialect, fields: dict[str, Any], events: list[Event]) -> list[dict[str, Any]]:
    """Return the JSON of a stream, with a keep-alive after every event."""
    writer = writer_of(dialect, fields)
    stream = b"".join(writer.write(event) + writer.keep_alive() for event in events[:-1])
    frames = Decoder().feed(stream + writer.write(events[-1]))
    return [msgspec.json.decode(frame.data) for frame in frames if frame.data != "[DONE]"]


@pytest.mark.parametrize("fields", CHATS.values(), ids=CHATS)
@pytest.mark.parametrize("events", ANSWERS.values(), ids=ANSWERS)
def test_chat_completions(events: list[Event], fields: dict[str, Any]) -> None:
    """Chat completions and their chunks fit OpenAI's schema."""
    dialect = OpenAIChat()
    check(
        "CreateChatCompletionResponse",
        msgspec.json.decode(writer_of(dialect, fields).whole(fold(events))),
    )
    for chunk in streamed(dialect, fields, events):
        check("CreateChatCompletionStreamResponse", chunk)


@pytest.mark.parametrize("fields", RESPONSES.values(), ids=RESPONSES)
@pytest.mark.parametrize("events", ANSWERS.values(), ids=ANSWERS)
def test_responses(events: list[Event], fields: dict[str, Any]) -> None:
    """Responses and their events fit OpenAI's schema."""
    dialect = OpenAIResponses()
    check("Response", msgspec.json.decode(writer_of(dialect, fields).whole(fold(events))))
    for event in streamed(dialect, fields, events):
        check_event(event)


@pytest.mark.parametrize("fields", [{}, {"echo": True, "stream_options": {"include_usage": True}}])
@pytest.mark.parametrize("events", ANSWERS.values(), ids=ANSWERS)
def test_completions(events: list[Event], fields: dict[str, Any]) -> None:
    """Completions and their chunks fit OpenAI's schema."""
    dialect = OpenAICompletions()
    body = writer_of(dialect, fields).whole(fold(events))
    check("CreateCompletionResponse", msgspec.json.decode(body))
    for chunk in streamed(dialect, fields, events):
        for choice in chunk["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or "stop"  # null is not in their schema
        check("CreateCompletionResponse", chunk)


@pytest.mark.parametrize("make", [OpenAIChat, OpenAICompletions, OpenAIResponses])
@pytest.mark.parametrize("error", ERRORS)
def test_errors(error: ProxyError, make: Callable[[], Dialect]) -> None:
    """A failure before the answer has OpenAI's envelope."""
    check("ErrorResponse", msgspec.json.decode(make().error(error)))


@pytest.mark.parametrize("error", [error for error in ERRORS if not isinstance(error, ContextLengthExceeded)])
def test_failed_responses(error: ProxyError) -> None:
    """A failure in the middle of a response ends it with an event from OpenAI's schema."""
    events = [*ANSWERS["thought"][:-1], Failed(error)]
    *_, last = streamed(OpenAIResponses(), {}, events)
    check_event(last)
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["message"] == error.message


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("Model", {"id": "m", "object": "model", "created": "today", "owned_by": "x"}),
        ("ErrorResponse", {"error": {"message": "m"}}),
        ("Response", {"object": "response"}),
    ],
)
def test_the_judge(name: str, wrong: dict[str, Any]) -> None:
    """An answer that does not fit the schema is detected."""
    with pytest.raises(AssertionError, match=name):
        check(name, wrong)


def test_the_judge_of_events() -> None:
    """An event that OpenAI does not have, or that lacks a field, is detected."""
    for wrong in ({"type": "response.odd"}, {"type": "response.output_text.delta", "delta": "x"}):
        with pytest.raises(AssertionError):
            check_event(wrong)
