"""The input of the Responses API becomes messages of a Request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Audio,
    Client,
    File,
    Image,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from tests.dialects.openai_responses.requests import (
    OUTPUT,
    PDF,
    PIXEL,
    PNG,
    read,
    text,
    user,
)


HI = Message("user", [Text("hi")])
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call1", "name": "read", "arguments": '{"a":1}'}
CALLED = ToolCall("call1", "read", '{"a":1}')
DONE = ToolResult("call1", (Text("done"),))


def assistant(text: str) -> dict[str, Any]:
    """Return a message that the model wrote, as a client sends it back."""
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


INPUT: dict[str, tuple[Any, str, list[Message]]] = {
    "text": ("hi", "", [HI]),
    "easy message": ([{"role": "user", "content": "hi"}], "", [HI]),
    "parts": ([user(text("a"), text("b"))], "", [Message("user", [Text("a"), Text("b")])]),
    "white space is kept": (" a\n", "", [Message("user", [Text(" a\n")])]),
    "instructions anywhere": (
        [
            {"role": "system", "content": "a"},
            {"role": "user", "content": "hi"},
            {"type": "message", "role": "developer", "content": [text("b"), text("c")]},
        ],
        "a\n\nb\n\nc",
        [HI],
    ),
    "assistant": ([user(text("hi")), assistant("yes")], "", [HI, Message("assistant", [Text("yes")])]),
    "easy assistant": ([{"role": "assistant", "content": "yes"}], "", [Message("assistant", [Text("yes")])]),
    "refusal": (
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
        "",
        [Message("assistant", [Text("no")])],
    ),
    "one turn of many items": (
        [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            assistant("Let me see."),
            CALL,
            {**CALL, "call_id": "call2"},
            OUTPUT,
            {**OUTPUT, "call_id": "call2", "output": [text("2"), {"type": "input_image", "image_url": PNG}]},
            {"role": "user", "content": "hi"},
        ],
        "",
        [
            Message(
                "assistant",
                [
                    Reasoning("hm"),
                    Text("Let me see."),
                    CALLED,
                    ToolCall("call2", "read", '{"a":1}'),
                ],
            ),
            Message("user", [DONE, ToolResult("call2", (Text("2"), Image("image/png", PIXEL)))]),
            HI,
        ],
    ),
    "call without arguments": (
        [{"type": "function_call", "call_id": "c", "name": "now", "arguments": ""}],
        "",
        [Message("assistant", [ToolCall("c", "now", "{}")])],
    ),
    "namespaces": (
        [
            {**CALL, "namespace": "box"},
            {**CALL, "namespace": "mcp__box__"},
        ],
        "",
        [
            Message(
                "assistant",
                [ToolCall("call1", "box__read", '{"a":1}'), ToolCall("call1", "mcp__box__read", '{"a":1}')],
            )
        ],
    ),
    "free text": (
        [
            {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": 'a"ü\n'},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
        ],
        "",
        [
            Message("assistant", [ToolCall("c", "patch", '{"input":"a\\"ü\\n"}')]),
            Message("user", [ToolResult("c", (Text("ok"),))]),
        ],
    ),
    "thoughts that say nothing": (
        [user(text("hi")), {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}],
        "",
        [HI],
    ),
    "pictures": (
        [
            user(
                {"type": "input_image", "image_url": PNG, "detail": "auto"},
                {"type": "input_image", "image_url": "https://a/b.png"},
                {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
            )
        ],
        "",
        [
            Message(
                "user",
                [
                    Image("image/png", PIXEL),
                    Image(url="https://a/b.png"),
                    File("application/pdf", "JVBERi0x", "a.pdf"),
                ],
            )
        ],
    ),
    "unknown fields": ([{"role": "user", "content": "hi", "phase": "commentary", "x": [1]}], "", [HI]),
}


@pytest.mark.parametrize(("given", "system", "expected"), INPUT.values(), ids=INPUT)
def test_input(given: Any, system: str, expected: list[Message]) -> None:
    """Each form that a conversation may have is read into its instructions and messages."""
    request = OpenAIResponses().open(msgspec.json.encode({"model": "m", "input": given})).request
    assert (request.system, request.messages) == (system, expected)


def test_instructions_come_first() -> None:
    """The body's instructions come before those in its items."""
    request = read({"role": "developer", "content": "b"}, {"role": "user", "content": "hi"}, instructions="a")
    assert request.system == "a\n\nb"


def test_content_that_only_some_take() -> None:
    """Audio, and images by plain http, are passed on, and the place of the first of each is noted."""
    speech = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}
    shown = {"type": "input_image", "image_url": "http://cam.lan/1.png"}
    request = read(user(text("x"), speech, shown, shown))
    assert request.messages[0].parts[1:3] == [Audio("AA", "wav"), Image(url="http://cam.lan/1.png")]
    assert request.extra == {"input_audio": "input[0].content[1]", "http_images": "input[0].content[2]"}


def test_a_hint_at_the_session() -> None:
    """The cache key identifies the conversation."""
    assert read(prompt_cache_key="k").client == Client(session="k")
