"""Per-request settings, as the CLI takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_max_proxy import ModelInfo, Request, Tool, ToolChoice
from claude_max_proxy.backends.claude_cli.tuning import Tuning, tune


ANY = ModelInfo("m")
SOME = ModelInfo("m", reasoning=True, efforts=("low", "medium", "high"))
NONE = ModelInfo("m", reasoning=False)
TOOLS = [Tool("look")]


def tuned(info: ModelInfo = ANY, **fields: Any) -> tuple[Tuning, list[str]]:
    """What a request becomes, and what of it is ignored."""
    request = Request("m", **fields)
    return tune(request, info), request.ignored


def test_nothing_is_asked() -> None:
    """A request that asks nothing gets every setting's default, said as such: the CLI merges settings."""
    tuning, ignored = tuned()
    assert (tuning, ignored) == (Tuning(), [])
    assert tuning.settings() == {
        "effortLevel": None,
        "env": {
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "",
            "CLAUDE_CODE_DISABLE_THINKING": "",
            "CLAUDE_CODE_EXTRA_BODY": "",
        },
    }


def test_everything_is_asked() -> None:
    """What is asked is written where the CLI reads it; the body's fields are JSON."""
    choice = ToolChoice("named", "look", parallel=False)
    tuning, ignored = tuned(
        max_tokens=4000, stop=["x"], tools=TOOLS, tool_choice=choice, temperature=0.5, effort="high"
    )
    settings = tuning.settings()
    assert ignored == []
    assert settings["effortLevel"] == "high"
    assert settings["env"]["CLAUDE_CODE_MAX_OUTPUT_TOKENS"] == "4000"
    assert settings["env"]["CLAUDE_CODE_DISABLE_THINKING"] == "1"
    body = json.loads(settings["env"]["CLAUDE_CODE_EXTRA_BODY"])
    assert [tool["name"] for tool in body.pop("tools")] == ["look"]
    assert body == {
        "stop_sequences": ["x"],
        "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        "temperature": 0.5,
    }


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({}, True),
        ({"max_tokens": 1025}, True),
        ({"max_tokens": 1024}, False),
        ({"effort": "none"}, False),
        ({"effort": "low"}, True),
        ({"extra": {"anthropic_thinking": {"type": "disabled"}}}, False),
        ({"extra": {"anthropic_thinking": {"type": "disabled"}}, "effort": "low"}, True),
        ({"extra": {"anthropic_thinking": {"type": "adaptive"}}}, True),
        ({"tools": TOOLS}, True),
        ({"tools": TOOLS, "tool_choice": ToolChoice("none")}, True),
        ({"tools": TOOLS, "tool_choice": ToolChoice("required")}, False),
        ({"tools": TOOLS, "tool_choice": ToolChoice("named", "look")}, False),
        ({"tool_choice": ToolChoice("required")}, True),
    ],
)
def test_thinking(fields: dict[str, Any], thinking: bool) -> None:
    """Thinking is off where it is not wanted, where a tool is forced, and where it would use up the limit."""
    assert tuned(**fields)[0].thinking is thinking


@pytest.mark.parametrize(
    ("info", "asked", "effort", "ignored"),
    [
        (ANY, None, None, []),
        (ANY, "none", None, []),
        (ANY, "minimal", "low", []),
        (ANY, "xhigh", "xhigh", []),
        (SOME, "max", "high", []),
        (SOME, "medium", "medium", []),
        (ModelInfo("m", efforts=("high",)), "low", "high", []),
        (ModelInfo("m", efforts=("unheard-of",)), "low", "low", []),
        (NONE, "high", None, ["reasoning_effort"]),
        (ModelInfo("m", reasoning=True), "high", None, ["reasoning_effort"]),
    ],
)
def test_effort(info: ModelInfo, asked: Any, effort: str | None, ignored: list[str]) -> None:
    """Effort is the nearest level below what is asked that the model has, or noted as ignored."""
    tuning, noted = tuned(info, effort=asked)
    assert (tuning.effort, noted) == (effort, ignored)


@pytest.mark.parametrize(
    ("choice", "body"),
    [
        (ToolChoice(), {}),
        (ToolChoice(parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), {"type": "none"}),
        (ToolChoice("none", parallel=False), {"type": "none"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("required", parallel=False), {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("named", "look"), {"type": "tool", "name": "look"}),
    ],
)
def test_tool_choice(choice: ToolChoice, body: dict[str, Any]) -> None:
    """A choice is written as the Messages API has it, the default not at all, and none without tools."""
    assert tuned(tools=TOOLS, tool_choice=choice)[0].body.get("tool_choice", {}) == body
    assert "tool_choice" not in tuned(tool_choice=choice)[0].body


@pytest.mark.parametrize(
    ("fields", "body", "ignored"),
    [
        ({"temperature": 0.2}, {}, ["temperature"]),
        ({"temperature": 0.2, "top_p": 0.5}, {}, ["temperature", "top_p"]),
        ({"temperature": 1, "top_p": 1}, {}, []),
        ({"effort": "none", "temperature": 0.2}, {"temperature": 0.2}, []),
        ({"effort": "none", "temperature": 0}, {"temperature": 0}, []),
        ({"effort": "none", "top_p": 0.5}, {"top_p": 0.5}, []),
        ({"effort": "none", "temperature": 1, "top_p": 0.5}, {"top_p": 0.5}, []),
        ({"effort": "none", "temperature": 0.2, "top_p": 0.5}, {"temperature": 0.2}, ["top_p"]),
        ({"effort": "none", "temperature": 1.5}, {}, ["temperature"]),
    ],
)
def test_sampling(fields: dict[str, Any], body: dict[str, Any], ignored: list[str]) -> None:
    """Sampling goes along only without thinking, one of the two, in the API's range; the rest is noted."""
    tuning, noted = tuned(**fields)
    assert (tuning.body, noted) == (body, ignored)


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [
        ({}, {}, True),
        ({"max_tokens": 2000}, {"max_tokens": 3000}, True),
        ({"stop": ["x"]}, {}, True),
        ({"effort": "low"}, {"effort": "high"}, False),
        ({}, {"effort": "none"}, False),
    ],
)
def test_what_may_follow(before: dict[str, Any], after: dict[str, Any], may: bool) -> None:
    """In the middle of a turn effort and thinking stay what they were; all else may change."""
    assert tuned(**after)[0].may_follow(tuned(**before)[0]) is may


@pytest.mark.parametrize(
    ("before", "after", "body"),
    [(None, 9, {}), (9, 9, {}), (9, 10, {"max_tokens": 10}), (9, None, {}), (None, None, {})],
)
def test_a_limit_in_the_middle(before: int | None, after: int | None, body: dict[str, Any]) -> None:
    """A limit that changes while a turn runs goes into the body, where the CLI still reads it."""
    earlier = None if before is None else Tuning(max_tokens=before)
    written = Tuning(max_tokens=after).settings(earlier)["env"]["CLAUDE_CODE_EXTRA_BODY"]
    assert json.loads(written or "{}") == body
