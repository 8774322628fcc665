"""Writing a chat completion request: the bytes for a Request."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Audio,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.backends.openai_api.writing import write
from claude_max_proxy.http_upstream import ModelFacts


ASKED = {"model": "m", "messages": [], "stream": True, "stream_options": {"include_usage": True}}
PNG = Image("image/png", "AAAA")
PNG_WIRE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#/x"}}, "x-mine": [1, None]}
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "string"}}},
    "required": ["a"],
    "additionalProperties": False,
}


def written(request: Request, **settings: Any) -> dict[str, Any]:
    """Write a request, and parse the result."""
    body: dict[str, Any] = msgspec.json.decode(write(request, "m", OpenAIApiSettings(**settings)))
    return body


def messages(*given: Message, system: str = "") -> Any:
    """Return these messages as they are sent."""
    return written(Request("x", system, list(given)))["messages"]


PARAMETERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({}, {}, {}),
    ({"max_tokens": 5}, {}, {"max_tokens": 5}),
    ({"max_tokens": 5}, {"max_tokens_field": "max_completion_tokens"}, {"max_completion_tokens": 5}),
    ({"stop": ["a", "b"]}, {}, {"stop": ["a", "b"]}),
    ({"temperature": 0.0, "top_p": 0.5}, {}, {"temperature": 0.0, "top_p": 0.5}),
    ({"effort": "high"}, {}, {"reasoning_effort": "high"}),
    ({"effort": "none"}, {}, {"reasoning_effort": "none"}),
    ({"effort": "max"}, {}, {"reasoning_effort": "xhigh"}),
    ({"max_tokens": 9000}, {"models": {"m": ModelFacts(max_output_tokens=4096)}}, {"max_tokens": 4096}),
    ({"max_tokens": 900}, {"models": {"m": ModelFacts(max_output_tokens=4096)}}, {"max_tokens": 900}),
    ({"max_tokens": 9000}, {"models": {"y": ModelFacts(max_output_tokens=4096)}}, {"max_tokens": 9000}),
    ({"extra": {"user": "u", "prompt_cache_key": "k"}}, {}, {"user": "u", "prompt_cache_key": "k"}),
    ({"extra": {"seed": 7, "logit_bias": {"5": -1}}}, {}, {"seed": 7, "logit_bias": {"5": -1}}),
    ({"extra": {"seed": 7, "user": "u"}}, {"lacks": ["seed"]}, {"user": "u"}),
    ({"extra": {"http_images": "messages[0]", "top_k": 4, "of_a_plugin": 1}}, {}, {}),
    ({}, {"extra_body": {"seed": 7, "model": "other"}}, {"seed": 7, "model": "other"}),
    ({"response_schema": {"type": "object"}}, {}, {"response_format": {"type": "json_object"}}),
    (
        {"response_schema": SCHEMA},
        {},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": False},
            }
        },
    ),
    (
        {"response_schema": CLOSED},
        {},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": CLOSED, "strict": True},
            }
        },
    ),
]


@pytest.mark.parametrize(("fields", "settings", "wire"), PARAMETERS)
def test_parameters(fields: dict[str, Any], settings: dict[str, Any], wire: dict[str, Any]) -> None:
    """Each parameter has its place, and what is not set is not sent."""
    assert written(Request("x", **fields), **settings) == ASKED | wire


def test_usage_can_be_left_out() -> None:
    """A server that refuses ``stream_options`` is not sent any."""
    assert "stream_options" not in written(Request("x"), include_usage=False)


def test_tools() -> None:
    """Tools are sent with their schemas unchanged, and without fields that are not set."""
    tools = [Tool("f", "does f", SCHEMA, strict=True), Tool("g")]
    assert written(Request("x", tools=tools))["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "does f", "parameters": SCHEMA, "strict": True},
        },
        {"type": "function", "function": {"name": "g"}},
    ]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (ToolChoice(), {}),
        (ToolChoice("none"), {"tool_choice": "none"}),
        (ToolChoice("required"), {"tool_choice": "required"}),
        (ToolChoice("named", "f"), {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        (ToolChoice(parallel=False), {"parallel_tool_calls": False}),
    ],
)
def test_tool_choice(choice: ToolChoice, wire: dict[str, Any]) -> None:
    """The choice of tools is sent if it is not the API's default."""
    body = written(Request("x", tools=[Tool("f")], tool_choice=choice))
    assert {name: value for name, value in body.items() if name not in {*ASKED, "tools"}} == wire


def test_a_conversation() -> None:
    """Messages keep their true roles; reasoning is not sent back."""
    assert messages(
        Message("user", [Text("hi")]),
        Message(
            "assistant",
            [Reasoning("hm"), Text("let me"), ToolCall("c1", "f", ""), ToolCall("c2", "g", '{"a":1}')],
        ),
        Message("user", [ToolResult("c1", (Text("one"),)), ToolResult("c2", (), is_error=True)]),
        Message("assistant", [Reasoning("hm")]),
        Message("user", [Text("a"), Text("b")]),
        system="be brief",
    ) == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "let me",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": '{"a":1}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": "Error: "},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]


def test_images_in_results() -> None:
    """Results come first, then their images in a user's message, then the user's text."""
    assert messages(
        Message("user", [Text("and?"), ToolResult("c1", (PNG, Text("seen"))), ToolResult("c2", (PNG,))])
    ) == [
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": "(the result is in the images and documents that follow)",
        },
        {"role": "user", "content": [PNG_WIRE, PNG_WIRE]},
        {"role": "user", "content": "and?"},
    ]


def test_images_and_files() -> None:
    """Images are sent as data or by URL, PDFs as files, and text as text."""
    text = base64.b64encode(b"hello").decode()
    assert messages(
        Message(
            "user",
            [
                PNG,
                Image(url="https://x/y.png"),
                File("application/pdf", "BBBB", "a.pdf"),
                File("application/pdf", "BBBB"),
                File("text/plain", text, "a.txt"),
                File("text/plain", text),
            ],
        )
    )[0]["content"] == [
        PNG_WIRE,
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
        {
            "type": "file",
            "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,BBBB"},
        },
        {"type": "text", "text": "a.txt:\n\nhello"},
        {"type": "text", "text": "hello"},
    ]


def test_a_message_of_nothing() -> None:
    """A user's empty message is sent; an empty one of the assistant's is left out."""
    assert messages(Message("user", []), Message("assistant", [])) == [{"role": "user", "content": ""}]


@pytest.mark.parametrize("handed_back", [False, True])
def test_thoughts(handed_back: bool) -> None:
    """What the model thought is sent back only to servers that want it, with the model's text."""
    said: list[Part] = [Reasoning("Hm. "), Text("Well."), Reasoning("So."), ToolCall("c", "look", "{}")]
    request = Request("x", messages=[Message("assistant", [Reasoning("alone")]), Message("assistant", said)])
    (wire,) = written(request, hand_back_reasoning=handed_back)["messages"]
    assert wire.get("reasoning_content") == ("Hm. So." if handed_back else None)
    assert (wire["content"], len(wire["tool_calls"])) == ("Well.", 1)


def test_speech() -> None:
    """Audio is passed on unchanged."""
    (wire,) = messages(Message("user", [Text("listen"), Audio("AAAA", "wav")]))
    assert wire["content"][1] == {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
