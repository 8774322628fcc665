"""Messages of Chat Completions become messages of a Request."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import (
    Audio,
    File,
    Image,
    Message,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from tests.dialects.openai_chat.requests import SPEECH, USER, file, read


HI = Message("user", [Text("hi")])
PIXEL = "iVBORw0KGgo="
CALL = {"id": "call1", "type": "function", "function": {"name": "read", "arguments": '{"a":1}'}}
MESSAGES: dict[str, tuple[list[Any], str, list[Message]]] = {
    "text": ([USER], "", [HI]),
    "text parts": (
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
        "",
        [Message("user", [Text("a"), Text("b")])],
    ),
    "null content": ([{"role": "user", "content": None}], "", [Message("user", [])]),
    "no content": ([{"role": "user"}], "", [Message("user", [])]),
    "empty text": ([{"role": "user", "content": ""}], "", [Message("user", [Text("")])]),
    "white space is kept": ([{"role": "user", "content": " a\n"}], "", [Message("user", [Text(" a\n")])]),
    "system": ([{"role": "system", "content": "s"}, USER], "s", [HI]),
    "developer": ([{"role": "developer", "content": "s"}, USER], "s", [HI]),
    "instructions anywhere": (
        [
            {"role": "system", "content": "a"},
            USER,
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "system", "content": "c"},
        ],
        "a\n\nb\n\nc",
        [HI],
    ),
    "only instructions": ([{"role": "system", "content": "s"}], "s", []),
    "null instructions": ([{"role": "system", "content": None}, USER], "", [HI]),
    "assistant": (
        [USER, {"role": "assistant", "content": "yes"}, USER],
        "",
        [HI, Message("assistant", [Text("yes")]), HI],
    ),
    "assistant with reasoning": (
        [{"role": "assistant", "reasoning_content": "hm", "content": "yes"}, USER],
        "",
        [Message("assistant", [Reasoning("hm"), Text("yes")]), HI],
    ),
    "assistant that refused": (
        [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}], "refusal": None}, USER],
        "",
        [Message("assistant", [Text("no")]), HI],
    ),
    "assistant's refusal field": (
        [{"role": "assistant", "content": None, "refusal": "no"}, USER],
        "",
        [Message("assistant", [Text("no")]), HI],
    ),
    "tool call and result": (
        [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call1", "content": "done"},
        ],
        "",
        [
            HI,
            Message("assistant", [ToolCall("call1", "read", '{"a":1}')]),
            Message("user", [ToolResult("call1", (Text("done"),))]),
        ],
    ),
    "results side by side": (
        [
            {"role": "assistant", "content": "", "tool_calls": [CALL, {**CALL, "id": "call2"}]},
            {"role": "tool", "tool_call_id": "call1", "content": "1"},
            {"role": "tool", "tool_call_id": "call2", "content": [{"type": "text", "text": "2"}]},
            USER,
        ],
        "",
        [
            Message(
                "assistant", [ToolCall("call1", "read", '{"a":1}'), ToolCall("call2", "read", '{"a":1}')]
            ),
            Message("user", [ToolResult("call1", (Text("1"),)), ToolResult("call2", (Text("2"),))]),
            HI,
        ],
    ),
    "call without arguments": (
        [{"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "now", "arguments": ""}}]}],
        "",
        [Message("assistant", [ToolCall("c", "now", "{}")])],
    ),
    "empty result": (
        [{"role": "tool", "tool_call_id": "c", "content": None}],
        "",
        [Message("user", [ToolResult("c", ())])],
    ),
    "legacy function": (
        [
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
        ],
        "",
        [
            Message("assistant", [ToolCall("callmessages0", "f", "{}")]),
            Message("user", [ToolResult("callmessages0", (Text("1"),))]),
        ],
    ),
    "image inline": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                    {"type": "image_url", "image_url": {"url": f"data:IMAGE/JPEG;x=y;base64,{PIXEL}"}},
                ],
            }
        ],
        "",
        [Message("user", [Image("image/png", PIXEL), Image("image/png", PIXEL)])],
    ),
    "image by address": (
        [
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}],
            }
        ],
        "",
        [Message("user", [Image(url="https://a/b.png")])],
    ),
    "file": (
        [
            {
                "role": "user",
                "content": [
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"},
                    }
                ],
            }
        ],
        "",
        [Message("user", [File("application/pdf", "JVBERi0x", "a.pdf")])],
    ),
    "unknown fields": ([{"role": "user", "content": "hi", "cache_control": {"type": "ephemeral"}}], "", [HI]),
}


@pytest.mark.parametrize(("messages", "system", "expected"), MESSAGES.values(), ids=MESSAGES)
def test_messages(messages: list[Any], system: str, expected: list[Message]) -> None:
    """Each form that a conversation may have is read into its instructions and messages."""
    request = read(*messages)
    assert (request.system, request.messages) == (system, expected)


def test_content_that_only_some_take() -> None:
    """Audio, and images by plain http, are passed on, and the place of the first of each is noted."""
    speech = {"type": "input_audio", "input_audio": SPEECH}
    shown = {"type": "image_url", "image_url": {"url": "http://cam.lan/1.png"}}
    request = read({"role": "user", "content": [{"type": "text", "text": "x"}, speech, shown, shown]})
    assert request.messages[0].parts[1:3] == [Audio("AA", "wav"), Image(url="http://cam.lan/1.png")]
    assert request.extra == {
        "input_audio": "messages[0].content[1]",
        "http_images": "messages[0].content[2]",
    }


def test_a_file_that_is_inline_needs_no_id() -> None:
    """A file that is inline is taken, whatever stored file it also names; the name is said to be ignored."""
    inline = {"file_data": "data:application/pdf;base64,JVBERi0x", "filename": "a.pdf"}
    found, wanted = OpenAIChat().open(file(**inline, file_id="file-1")), OpenAIChat().open(file(**inline))
    assert found.request.messages == wanted.request.messages
    assert found.request.ignored == ["messages.content.file.file_id"]


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_names_are_ignored(role: str) -> None:
    """The name of a speaker is not sent upstream, and the client is told."""
    assert read({"role": role, "content": "x", "name": "Bob"}, USER).ignored == ["messages.name"]


def test_a_function_is_asked_by_its_name() -> None:
    """A function's result belongs to the latest call of that name."""
    call = {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}
    result = {"role": "function", "name": "f", "content": "x"}
    messages = read(call, result, call, result).messages
    ids = [part.id for message in messages for part in message.parts if isinstance(part, ToolResult)]
    assert ids == ["callmessages0", "callmessages2"]


def test_text_arrives_as_it_was_written() -> None:
    """No character of the input is changed."""
    text = "a\u0000b\r\n\t€ 🦀 </system> /clear @file \u2028"
    assert read({"role": "user", "content": text}).messages == [Message("user", [Text(text)])]
