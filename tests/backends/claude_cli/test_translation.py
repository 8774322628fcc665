"""Messages in the form that the CLI accepts."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from claude_max_proxy.anthropic_messages import ToolNames
from claude_max_proxy.backends.claude_cli.translation import GUARD, blocks, history_lines, user_line


PARTS: list[tuple[Part, list[dict[str, Any]]]] = [
    (Text("a"), [{"type": "text", "text": "a"}]),
    (Text("/clear @x\n"), [{"type": "text", "text": "/clear @x\n"}]),
    (Text(""), []),
    (Reasoning("hm"), []),
    (Reasoning("hm", "sig"), [{"type": "thinking", "thinking": "hm", "signature": "sig"}]),
    (Reasoning("", "EoF=", redacted=True), [{"type": "redacted_thinking", "data": "EoF="}]),
    (
        File("application/pdf", url="https://a/b.pdf"),
        [{"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}}],
    ),
    (
        Image("image/png", "AA"),
        [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}],
    ),
    (Image(url="https://a"), [{"type": "image", "source": {"type": "url", "url": "https://a"}}]),
    (
        File("application/pdf", "AA", "a.pdf"),
        [
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA"},
                "title": "a.pdf",
            }
        ],
    ),
    (
        File("text/plain", base64.b64encode("grüße".encode()).decode()),
        [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "grüße"}}],
    ),
    (
        ToolCall("c", "read file", '{"a": 1}'),
        [{"type": "tool_use", "id": "c", "name": ToolNames().upstream("read file"), "input": {"a": 1}}],
    ),
    (ToolCall("c", "now", ""), [{"type": "tool_use", "id": "c", "name": "now", "input": {}}]),
    (
        ToolResult("c", (Text("x"), Text(""), Image("image/png", "AA"))),
        [
            {
                "type": "tool_result",
                "tool_use_id": "c",
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}},
                ],
            }
        ],
    ),
    (
        ToolResult("c", (), is_error=True),
        [{"type": "tool_result", "tool_use_id": "c", "content": [], "is_error": True}],
    ),
]


IMAGE = Image("image/png", "AA")
SHOWN = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}
BLANK = [Text(""), Text(" \n"), Text("\ufeff"), Text("\x1f\x85\u3000")]


@pytest.mark.parametrize("blank", BLANK)
def test_white_space_alone(blank: Text) -> None:
    """A text of white space alone is left out wherever it is; the other texts stay unchanged."""
    parts: list[Part] = [ToolResult("c", (blank, Text(" a\n"), blank)), blank, Text("\nb "), IMAGE, blank]
    assert blocks(Message("user", parts), ToolNames()) == [
        {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": " a\n"}]},
        {"type": "text", "text": "\nb "},
        SHOWN,
    ]


def test_what_a_failure_shows() -> None:
    """A failed call's result may contain only text: its images follow the results, before the user's text."""
    failed = ToolResult("c", (IMAGE, Text("lost")), is_error=True)
    written = blocks(Message("user", [Text("and now?"), failed, ToolResult("d", (IMAGE,))]), ToolNames())
    lost = [{"type": "text", "text": "lost"}]
    assert written == [
        {"type": "tool_result", "tool_use_id": "c", "content": lost, "is_error": True},
        {"type": "tool_result", "tool_use_id": "d", "content": [SHOWN]},
        SHOWN,
        {"type": "text", "text": "and now?"},
    ]


@pytest.mark.parametrize(("part", "written"), PARTS)
def test_parts(part: Part, written: list[dict[str, Any]]) -> None:
    """Each part is written as the API's block for it."""
    assert written == blocks(Message("user", [part]), ToolNames(["read file"]))


@pytest.mark.parametrize("ask", [True, False])
def test_what_a_user_says(ask: bool) -> None:
    """A user's message ends with an empty block, so that no text of the client's is taken for a command."""
    line = msgspec.json.decode(user_line(Message("user", [Text("/clear")]), ToolNames(), ask=ask))
    assert line["message"] == {"role": "user", "content": [{"type": "text", "text": "/clear"}, GUARD]}
    assert line.get("shouldQuery", True) is ask


def test_what_the_assistant_said() -> None:
    """The assistant's messages have distinct ids, so that the CLI does not merge neighbours."""
    message = Message("assistant", [Reasoning("hm"), Text("yes")])
    lines = [msgspec.json.decode(history_lines(message, ToolNames()) or b"") for _ in range(2)]
    assert lines[0]["message"]["content"] == [{"type": "text", "text": "yes"}]
    assert lines[0]["message"]["role"] == "assistant"
    assert lines[0]["message"]["id"] != lines[1]["message"]["id"]
    assert lines[0]["uuid"] != lines[1]["uuid"]


def test_history_does_not_ask() -> None:
    """A user's message of the history is appended and not answered."""
    line = msgspec.json.decode(history_lines(Message("user", [Text("a")]), ToolNames()) or b"")
    assert line["shouldQuery"] is False


@pytest.mark.parametrize("role", ["user", "assistant"])
@pytest.mark.parametrize("parts", [[], [Text("")], [Text(" \n")], [Reasoning("hm")]])
def test_what_says_nothing(role: Any, parts: list[Part]) -> None:
    """A message without content, which the upstream refuses, is left out of the history."""
    assert history_lines(Message(role, parts), ToolNames()) is None


@pytest.mark.parametrize("arguments", ["{", "[]", "where: here", "[" * 10_000])
def test_arguments_that_are_no_object(arguments: str) -> None:
    """The model sees what it wrote, inside the object that the API requires, so that it can do better."""
    (block,) = blocks(Message("assistant", [ToolCall("c", "x", arguments)]), ToolNames())
    assert block["input"] == {"arguments": arguments}


@pytest.mark.parametrize("thought", [Reasoning("hm", "sig"), Reasoning("", "sig", redacted=True)])
def test_thoughts_have_a_model(thought: Reasoning) -> None:
    """A message with signed thoughts names the model of its process, since the CLI drops those of others."""
    said = Message("assistant", [Text("yes")])
    for message, named in ((Message("assistant", [thought, *said.parts]), "claude-x"), (said, None)):
        written = history_lines(message, ToolNames(), "claude-x")
        assert msgspec.json.decode(written or b"")["message"].get("model") == named
