"""Messages of the Messages API, and their blocks, become messages of a Request."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from claude_max_proxy import (
    File,
    Image,
    Message,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
)
from tests.dialects.anthropic_messages.requests import HI, UNASKED, read, refused


def parts(*content: dict[str, Any], role: str = "user") -> list[Any]:
    """Return the message that is read from these blocks."""
    return read(messages=[{"role": role, "content": list(content)}]).messages[0].parts


def test_the_least() -> None:
    """A model, a limit and a message are enough; thinking is off by default."""
    request = read()
    assert request == Request(
        "m", messages=[Message("user", [Text("hi")])], max_tokens=99, extra=UNASKED, state=request.state
    )


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("be brief", "be brief"),
        (
            [
                {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "b"},
            ],
            "a\n\nb",
        ),
        (
            [
                {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=1;"},
                {"type": "text", "text": "a"},
            ],
            "a",
        ),
        ([], ""),
    ],
)
def test_instructions(system: Any, text: str) -> None:
    """Instructions are a text or text blocks; Claude Code's bookkeeping block is left out."""
    assert read(system=system).system == text


PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
HELLO = base64.b64encode(b"hello").decode()
SHOWN: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "text", "text": "a", "citations": None}, [Text("a")]),
    (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        [Image("image/png", "iVBORw0KGgo=")],
    ),
    ({"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}, [Image(url="https://a/b.png")]),
    ({"type": "document", "source": PDF, "title": "a.pdf"}, [File("application/pdf", "JVBERi0x", "a.pdf")]),
    (
        {"type": "document", "source": PDF, "context": "From 1999."},
        [Text("From 1999."), File("application/pdf", "JVBERi0x")],
    ),
    (
        {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}},
        [File("application/pdf", url="https://a/b.pdf")],
    ),
    (
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
        [File("text/plain", HELLO)],
    ),
    (
        {"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": HELLO}},
        [File("text/plain", HELLO)],
    ),
    (
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "hello"}]}},
        [File("text/plain", HELLO)],
    ),
    (
        {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "c"}]},
        [Text("t\ns\n\nc")],
    ),
]


@pytest.mark.parametrize(("block", "read_as"), SHOWN)
def test_what_is_shown(block: dict[str, Any], read_as: list[Any]) -> None:
    """Every block that a user may send becomes its part, in a tool's result too."""
    assert parts(block) == read_as
    result = {"type": "tool_result", "tool_use_id": "t", "content": [block], "is_error": True}
    assert parts(result) == [ToolResult("t", tuple(read_as), is_error=True)]


def test_what_the_assistant_said() -> None:
    """Texts, signed and redacted thoughts and calls that the model wrote are read unchanged."""
    assert parts(
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "EoF="},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "ü"}, "caller": {"type": "direct"}},
        role="assistant",
    ) == [
        Reasoning("hm", "sig"),
        Reasoning("", "EoF=", redacted=True),
        Text("a"),
        ToolCall("toolu_1", "f", '{"a":"ü"}'),
    ]


def test_results_come_first() -> None:
    """A tool's results come before the text next to them; they may be a string, blocks or missing."""
    assert parts(
        {"type": "text", "text": "and?"},
        {"type": "tool_result", "tool_use_id": "a", "content": "x"},
        {"type": "tool_result", "tool_use_id": "b"},
    ) == [ToolResult("a", (Text("x"),)), ToolResult("b", ()), Text("and?")]


def test_instructions_in_the_middle() -> None:
    """Instructions among the messages stay in their place, marked as a reminder."""
    reminder = Text("<system-reminder>\nIt is Monday.\n</system-reminder>")
    said, monday = {"role": "assistant", "content": "ho"}, {"role": "system", "content": "It is Monday."}
    request = read(messages=[HI, monday, said, monday])
    assert request.messages == [
        Message("user", [Text("hi"), reminder]),
        Message("assistant", [Text("ho")]),
        Message("user", [reminder]),
    ]


def test_marks_of_the_cache_mean_nothing() -> None:
    """A cache mark that moves from message to message changes nothing else, and is named as ignored."""
    mark = {"cache_control": {"type": "ephemeral"}}
    marked = read(messages=[{"role": "user", "content": [{"type": "text", "text": "hi", **mark}]}])
    assert marked.ignored == read(system=[{"type": "text", "text": "s", **mark}]).ignored == ["cache_control"]
    assert read(**mark).ignored == ["cache_control"]
    marked.ignored.clear()
    assert marked == read()


MISPLACED: list[tuple[str, dict[str, Any], str]] = [
    ("user", {"type": "tool_use", "id": "t", "name": "f", "input": {}}, "type"),
    ("user", {"type": "thinking", "thinking": "hm", "signature": ""}, "type"),
    ("assistant", {"type": "tool_result", "tool_use_id": "t"}, "type"),
    ("assistant", {"type": "image", "source": {"type": "url", "url": "https://a"}}, "type"),
    ("user", {"type": "image", "source": {"type": "file", "file_id": "x"}}, "source.file_id"),
    ("user", {"type": "image", "source": {"type": "url", "url": "http://a"}}, "source.url"),
    (
        "user",
        {"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": "A"}},
        "source.data",
    ),
    ("user", {"type": "document", "source": {"type": "file", "file_id": "x"}}, "source.file_id"),
    ("user", {"type": "document", "source": {"type": "url", "url": "http://a"}}, "source.url"),
    (
        "user",
        {"type": "document", "source": {"type": "base64", "media_type": "text/rtf", "data": "A"}},
        "source.data",
    ),
    (
        "user",
        {"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": "/w=="}},
        "source.data",
    ),
    (
        "user",
        {
            "type": "document",
            "source": {
                "type": "content",
                "content": [{"type": "image", "source": {"type": "url", "url": "https://a"}}],
            },
        },
        "source.content",
    ),
]


@pytest.mark.parametrize(("role", "block", "path"), MISPLACED)
def test_blocks_that_cannot_be(role: str, block: dict[str, Any], path: str) -> None:
    """A block in a wrong place, or whose content cannot be fetched, is refused by its path."""
    error = refused(messages=[{"role": role, "content": [{"type": "text", "text": "a"}, block]}])
    assert error.param == f"messages[0].content[1].{path}"


def test_an_unknown_block() -> None:
    """A block of a tool that ran on the provider's side is refused by its path."""
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    assert refused(messages=[{"role": "user", "content": [block]}]).param == "messages[0].content[0].type"
