"""How thinking and sampling are asked for, as each model takes it."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import (
    Message,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from claude_max_proxy.backends.anthropic_api.tools import answer_tool
from tests.backends.anthropic_api.writing import HI, PLAIN, SCHEMA, asked, written


ADAPTIVE = {"thinking": {"type": "adaptive"}}
THINKING: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("off", {}, {}, []),
    ("off", {"effort": "none"}, {}, []),
    ("off", {"effort": "high"}, {}, ["reasoning_effort"]),
    ("adaptive", {}, ADAPTIVE, []),
    ("adaptive", {"effort": "none"}, {}, []),
    ("adaptive", {"effort": "minimal"}, ADAPTIVE | {"output_config": {"effort": "low"}}, []),
    ("adaptive", {"effort": "max"}, ADAPTIVE | {"output_config": {"effort": "max"}}, []),
    ("adaptive", {"temperature": 0.5, "top_p": 0.9}, ADAPTIVE, ["temperature", "top_p"]),
    ("budget", {}, {"thinking": {"type": "enabled", "budget_tokens": 8192}, "max_tokens": 16384}, []),
    (
        "budget",
        {"effort": "low", "max_tokens": 3000},
        {"thinking": {"type": "enabled", "budget_tokens": 1500}, "max_tokens": 3000},
        [],
    ),
    ("budget", {"effort": "max", "max_tokens": 100, "top_p": 0.9}, {"max_tokens": 100, "top_p": 0.9}, []),
]


@pytest.mark.parametrize(("setting", "fields", "wire", "ignored"), THINKING)
def test_thinking(setting: str, fields: dict[str, Any], wire: dict[str, Any], ignored: list[str]) -> None:
    """Effort becomes thinking as the setting says, and what thinking excludes is named as ignored."""
    request = asked(**fields)
    assert written(request, thinking=setting) == PLAIN | wire
    assert request.ignored == ignored


@pytest.mark.parametrize("setting", ["adaptive", "budget"])
def test_no_thinking_where_a_tool_is_forced(setting: str) -> None:
    """The API does not let a model think if a tool is forced."""
    assert "thinking" not in written(asked(response_schema=SCHEMA, effort="high"), thinking=setting)


def test_no_budget_after_a_call() -> None:
    """With a budget the API requires signed thoughts before a call; if there are none, thinking is off."""
    call = Message("assistant", [ToolCall("c", "f", "{}")])
    request = Request("x", messages=[HI, call, Message("user", [ToolResult("c", (Text("1"),))])])
    assert "thinking" not in written(request, thinking="budget")
    assert "thinking" in written(request, thinking="adaptive")
    call.parts.insert(0, Reasoning("hm", "sig"))
    assert "thinking" in written(request, thinking="budget")


OWN: list[tuple[str, dict[str, Any], str | None, dict[str, Any]]] = [
    ("off", {"type": "adaptive"}, None, {"thinking": {"type": "adaptive"}}),
    (
        "off",
        {"type": "adaptive"},
        "low",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
    ),
    (
        "adaptive",
        {"type": "enabled", "budget_tokens": 2000},
        "low",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    ("adaptive", {"type": "adaptive"}, "none", {}),
    ("adaptive", {"type": "disabled"}, None, {"thinking": {"type": "disabled"}}),
    ("adaptive", {}, None, {}),
]


@pytest.mark.parametrize(("setting", "thinking", "effort", "wire"), OWN)
def test_thinking_in_the_apis_own_words(
    setting: str, thinking: dict[str, Any], effort: Any, wire: dict[str, Any]
) -> None:
    """If a client sets thinking in the API's own form, it is passed on, whatever the setting."""
    request = asked(effort=effort, extra={"anthropic_thinking": thinking})
    assert written(request, thinking=setting) == PLAIN | wire


DISABLED = {"type": "disabled"}
BUDGET = {"type": "enabled", "budget_tokens": 5000}
# model, the client's thinking in the API's own form, effort: what is sent of both, what is ignored
BY_MODEL: list[tuple[str, Any, Any, dict[str, Any], list[str]]] = [
    ("claude-sonnet-5", DISABLED, None, {"thinking": DISABLED}, []),
    ("claude-sonnet-5", None, "none", {"thinking": DISABLED}, []),
    ("claude-sonnet-5-5", DISABLED, None, {"thinking": {"type": "between_tools"}}, ["thinking"]),
    ("claude-opus-5-5", DISABLED, None, {"output_config": {"effort": "low"}}, ["thinking"]),
    ("claude-opus-5-5", None, "none", {"output_config": {"effort": "low"}}, ["reasoning_effort"]),
    ("claude-opus-5-5", {}, None, {}, []),
    ("claude-sonnet-5", {}, None, {}, []),
    ("claude-3-5-haiku-latest", DISABLED, None, {}, []),
    ("claude-3-5-haiku-latest", BUDGET, "medium", {}, ["thinking"]),
    ("claude-haiku-4-5", BUDGET, "medium", {"thinking": BUDGET}, []),
    (
        "claude-haiku-4-5",
        {"type": "adaptive"},
        "low",
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        [],
    ),
    ("claude-sonnet-4-6", BUDGET, "medium", {"thinking": BUDGET}, []),
    (
        "claude-sonnet-4-6",
        {"type": "adaptive"},
        "xhigh",
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        [],
    ),
    (
        "claude-opus-5-5",
        BUDGET | {"display": "omitted"},
        "medium",
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "medium"}},
        [],
    ),
]


@pytest.mark.parametrize(("model", "own", "effort", "wire", "ignored"), BY_MODEL)
def test_thinking_as_the_model_takes_it(
    model: str, own: Any, effort: Any, wire: dict[str, Any], ignored: list[str]
) -> None:
    """A client's thinking is adapted to what its model accepts, and the client is told what is ignored."""
    request = asked(effort=effort, extra={} if own is None else {"anthropic_thinking": own})
    body = written(request, model=model)
    assert {name: body[name] for name in ("thinking", "output_config") if name in body} == wire
    assert request.ignored == ignored


@pytest.mark.parametrize(
    ("model", "sent", "ignored"),
    [
        ("m", {"temperature": 0.2, "top_p": 0.5, "top_k": 1}, []),
        ("claude-sonnet-4", {"temperature": 0.2, "top_p": 0.5, "top_k": 1}, []),
        ("claude-sonnet-4-5", {"temperature": 0.2, "top_k": 1}, ["top_p"]),
        ("claude-opus-4-7", {}, ["temperature", "top_p", "top_k"]),
        ("claude-haiku-5-5", {}, ["temperature", "top_p", "top_k"]),
        ("claude-opus-12", {}, ["temperature", "top_p", "top_k"]),
    ],
)
def test_sampling_as_the_model_takes_it(model: str, sent: dict[str, Any], ignored: list[str]) -> None:
    """Sampling that a model does not accept is left out and named."""
    request = asked(temperature=0.2, top_p=0.5, extra={"top_k": 1})
    body = written(request, model=model)
    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == sent
    assert request.ignored == ignored


def test_defaults_of_sampling_are_nothing_to_tell() -> None:
    """If a model has no sampling, default values are not sent, and not named as ignored either."""
    request = asked(temperature=1, top_p=1)
    assert not {"temperature", "top_p"} & written(request, model="claude-opus-5-5").keys()
    assert request.ignored == []


def test_models_that_cannot_be_forced() -> None:
    """Such a model is asked without force, which is told; a schema is sent in the API's newer form."""
    request = asked(tools=[Tool("f")], tool_choice=ToolChoice("required", parallel=False))
    body = written(request, model="claude-opus-5-5")
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert request.ignored == ["tool_choice"]

    request = asked(response_schema=SCHEMA)
    body = written(request, model="claude-opus-5-5")
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": SCHEMA}}
    assert "tools" not in body
    assert answer_tool(request, "claude-opus-5-5") == ""
