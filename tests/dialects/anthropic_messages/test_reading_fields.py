"""The other fields of the Messages API become fields of a Request, or are refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Client,
    InvalidRequest,
    Tool,
    ToolChoice,
)
from tests.dialects.anthropic_messages.requests import DIALECT, HI, UNASKED, read, refused


TOOL = {"name": "f", "description": "F.", "input_schema": {"type": "object"}}
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
