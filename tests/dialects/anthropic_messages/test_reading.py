"""The Messages API's bodies, read into requests."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Client,
    File,
    Image,
    InvalidRequest,
    Message,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages


DIALECT = AnthropicMessages()
HI = {"role": "user", "content": "hi"}
TOOL = {"name": "f", "description": "F.", "input_schema": {"type": "object"}}
UNASKED: dict[str, Any] = {"anthropic_thinking": {}}


def body(**fields: Any) -> bytes:
    """Return a body with these fields."""
    return msgspec.json.encode({"model": "m", "max_tokens": 99, "messages": [HI], **fields})


def read(**fields: Any) -> Request:
    """Return the request that is read from a body with these fields."""
    return DIALECT.open(body(**fields)).request


def parts(*content: dict[str, Any], role: str = "user") -> list[Any]:
    """Return the message that is read from these blocks."""
    return read(messages=[{"role": role, "content": list(content)}]).messages[0].parts


def refused(**fields: Any) -> InvalidRequest:
    """Return the error for a body with these fields."""
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    return caught.value


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


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": 0}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"temperature": 1.5}, "temperature"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tools": [TOOL, {"input_schema": {}}]}, "tools[1].name"),
    ({"tools": [TOOL, TOOL]}, "tools[1]"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"tool_choice": {"type": "tool", "name": "g"}, "tools": [TOOL]}, "tool_choice.name"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
    ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
    ({"container": "c"}, "container"),
]


@pytest.mark.parametrize(("fields", "path"), WRONG)
def test_fields_that_are_wrong(fields: dict[str, Any], path: str) -> None:
    """A field that is wrong, or that cannot be dropped without changing the answer's meaning, is named."""
    assert refused(**fields).param == path


def test_a_missing_limit() -> None:
    """The API requires a limit, and so does this dialect."""
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.open(msgspec.json.encode({"model": "m", "messages": [HI]}))
    assert (caught.value.param, caught.value.message) == ("max_tokens", "max_tokens is missing")


def test_tools() -> None:
    """Tools keep all their fields."""
    further = {
        "type": "custom",
        "defer_loading": True,
        "input_examples": [{"a": 1}],
        "whatever": {"comes": "next"},
    }
    request = read(tools=[{**TOOL, "strict": True, **further}])
    assert request.tools == [Tool("f", "F.", {"type": "object"}, True, further, "tools[0]")]
    assert request.ignored == []


def test_a_tool_that_was_found() -> None:
    """A tool that a search has found is included from the beginning: only the API could load it later."""
    deferred = [{**TOOL, "name": name, "defer_loading": True} for name in ("found", "hidden")]
    found = {
        "type": "tool_result",
        "tool_use_id": "s",
        "content": [{"type": "tool_reference", "tool_name": "found"}],
    }
    search = {"type": "tool_use", "id": "s", "name": "search", "input": {}}
    messages = [HI, {"role": "assistant", "content": [search]}, {"role": "user", "content": [found]}]
    request = read(tools=deferred, messages=messages)
    assert [tool.fields for tool in request.tools] == [{}, {"defer_loading": True}]
    assert request.ignored == ["tools.defer_loading"]


def test_anthropics_own_tools() -> None:
    """Tools that Anthropic defines are carried unchanged, for a backend that knows them."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    request = read(tools=[TOOL, search], tool_choice={"type": "tool", "name": "web_search"})
    assert request.extra["anthropic_tools"] == {"tools[1]": search}
    assert [tool.name for tool in request.tools] == ["f"]


CHOICES: list[tuple[dict[str, Any] | None, ToolChoice]] = [
    (None, ToolChoice()),
    ({"type": "auto"}, ToolChoice()),
    ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice(parallel=False)),
    ({"type": "any"}, ToolChoice("required")),
    (
        {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        ToolChoice("named", "f", parallel=False),
    ),
    ({"type": "none"}, ToolChoice("none")),
]


@pytest.mark.parametrize(("wire", "choice"), CHOICES)
def test_tool_choice(wire: Any, choice: ToolChoice) -> None:
    """Each value of ``tool_choice`` is read."""
    assert read(tools=[TOOL], tool_choice=wire).tool_choice == choice


THINKING: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({}, None, None),
    ({"thinking": {"type": "disabled"}}, None, "disabled"),
    ({"thinking": {"type": "adaptive"}}, None, "adaptive"),
    ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max", "adaptive"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low", "enabled"),
    ({"thinking": {"type": "enabled", "budget_tokens": 10_000}}, "medium", "enabled"),
    ({"thinking": {"type": "enabled", "budget_tokens": 16_000}}, "high", "enabled"),
    ({"thinking": {"type": "enabled", "budget_tokens": 31_999}}, "xhigh", "enabled"),
]


@pytest.mark.parametrize(("fields", "effort", "kind"), THINKING)
def test_thinking(fields: dict[str, Any], effort: str | None, kind: str | None) -> None:
    """Thinking is read as the client states it, and a budget is also read as an effort."""
    request = read(**fields)
    assert (request.effort, request.extra["anthropic_thinking"].get("type")) == (effort, kind)


@pytest.mark.parametrize("field", ["output_format", "output_config"])
def test_a_structured_answer(field: str) -> None:
    """The schema of an answer may be in either of two places."""
    form = {"type": "json_schema", "schema": {"type": "object"}}
    request = read(**{field: form if field == "output_format" else {"format": form}})
    assert request.response_schema == {"type": "object"}


def test_the_rest() -> None:
    """Sampling, limits, stop sequences and bookkeeping are carried over."""
    request = read(
        stop_sequences=["END"],
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        stream=True,
        metadata={"user_id": "me"},
        service_tier="standard_only",
        context_management={"edits": []},
    )
    assert (request.stop, request.temperature, request.top_p, request.stream) == (["END"], 0.5, 0.9, True)
    assert request.client == Client(session="me")
    assert request.extra == UNASKED | {
        "top_k": 5,
        "anthropic_metadata": {"user_id": "me"},
        "anthropic_service_tier": "standard_only",
        "context_management": {"edits": []},
    }


def test_features_on_trial() -> None:
    """The names in the beta header are noted, and empty ones are not."""
    request = read()
    DIALECT.read_headers(request, {"anthropic-beta": "a-2025-01-01, b ,c\r\nx: y"})
    assert request.extra["anthropic_beta"] == ["a-2025-01-01", "b"]


def test_a_count_needs_no_limit() -> None:
    """A body for counting is read like one for an answer, but needs no limit."""
    counted = DIALECT.read_count(msgspec.json.encode({"model": "m", "messages": [HI], "tools": [TOOL]}))
    assert counted.messages == read().messages
    assert counted.tools == read(tools=[TOOL]).tools


def test_what_does_not_say_its_type() -> None:
    """A block or a format must state its type, even where only one type is allowed."""
    assert refused(system=[{"text": "Be brief."}]).param == "system[0].type"
    assert refused(output_format={"schema": {}}).param == "output_format.type"
