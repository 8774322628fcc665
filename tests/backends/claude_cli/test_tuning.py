"""Settings of a request, in the form that the CLI accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_max_proxy import Request, Tool, ToolChoice
from claude_max_proxy.anthropic_messages import Abilities, abilities_of
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.backends.claude_cli.tuning import Tuning, tune


ANY = ModelInfo("m")
SOME = ModelInfo("m", reasoning=True, efforts=("low", "medium", "high"))
NONE = ModelInfo("m", reasoning=False)
TOOLS = [Tool("look")]
DISABLED = {"thinking": {"type": "disabled"}}
BOTH = Abilities("all")


def tuned(
    info: ModelInfo = ANY, abilities: Abilities = BOTH, refused: set[str] | None = None, **fields: Any
) -> tuple[Tuning, list[str]]:
    """Return what a request becomes, and which parameters are ignored."""
    request = Request("m", **fields)
    return tune(request, info, abilities, refused or set()), request.ignored


def tuned_for(model: str, **fields: Any) -> tuple[Tuning, list[str]]:
    """Return what a request becomes for this model, and which parameters are ignored."""
    abilities = abilities_of(model)
    assert abilities is not None
    return tuned(ModelInfo(model, efforts=abilities.efforts), abilities, **fields)


def test_nothing_is_asked() -> None:
    """A request without settings writes every setting's default, since the CLI merges settings."""
    tuning, ignored = tuned()
    assert (tuning, ignored) == (Tuning(), [])
    assert tuning.settings() == {
        "effortLevel": None,
        "env": {
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "",
            "CLAUDE_CODE_DISABLE_THINKING": "",
            "CLAUDE_CODE_EXTRA_BODY": "",
            "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE": "1000000000",
        },
    }


def test_everything_is_asked() -> None:
    """Each parameter is written where the CLI reads it; the body's fields are JSON."""
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
    choice_written = {"type": "tool", "name": "look", "disable_parallel_tool_use": True}
    assert body == {"stop_sequences": ["x"], "tool_choice": choice_written, "temperature": 0.5} | DISABLED


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({}, True),
        ({"max_tokens": 1025}, True),
        ({"max_tokens": 1024}, False),
        ({"effort": "none"}, False),
        ({"effort": "low"}, True),
        ({"extra": {"anthropic_thinking": {"type": "disabled"}}}, False),
        ({"extra": {"anthropic_thinking": {}}}, False),
        ({"extra": {"anthropic_thinking": {}}, "effort": "low"}, True),
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
    """Thinking is off if it is not wanted, if a tool is forced, or if it would use up the limit."""
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
    """Effort is the nearest level that the model has, at most the one asked for, or is named as ignored."""
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
    """A choice is written in the form of the Messages API; the default, and one without tools, is not."""
    assert tuned(tools=TOOLS, tool_choice=choice)[0].body.get("tool_choice", {}) == body
    assert "tool_choice" not in tuned(tool_choice=choice)[0].body


OFF_MODELS = {
    "claude-haiku-4-5-20251001": "disabled",
    "claude-sonnet-4-6": "disabled",
    "claude-opus-4-8": "disabled",
    "claude-sonnet-5": "disabled",
    "claude-opus-5": "disabled",
    "claude-haiku-5-5": "disabled",
    "claude-sonnet-5-5": "between_tools",
    "claude-opus-5-5": "",
    "claude-fable-5-2": "",
    "claude-3-5-haiku-20241022": None,
}


@pytest.mark.parametrize("model", OFF_MODELS)
@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"effort": "none"}, "reasoning_effort"),
        ({"extra": {"anthropic_thinking": {"type": "disabled"}}}, "thinking"),
        ({"max_tokens": 100}, None),
        ({"extra": {"anthropic_thinking": {}}, "max_tokens": 100}, None),
    ],
)
def test_thinking_off(fields: dict[str, Any], name: str | None, model: str) -> None:
    """Thinking is switched off in the model's own way; the client is told if that is impossible."""
    off = OFF_MODELS[model]
    tuning, ignored = tuned_for(model, **fields)
    assert tuning.body == ({"thinking": {"type": off}} if off else {})
    assert ignored == ([name] if name and off not in {"disabled", None} else [])
    assert tuning.effort == ("low" if off == "" else None)
    assert not tuning.thinking


@pytest.mark.parametrize("model", OFF_MODELS)
def test_thinking_unasked(model: str) -> None:
    """A client of the Messages API that does not mention thinking gets that API's default."""
    tuning, ignored = tuned_for(model, extra={"anthropic_thinking": {}})
    assert (tuning, ignored) == (Tuning(thinking=False), [])


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("claude-opus-5", "max", "high"),
        ("claude-opus-5", "low", "low"),
        ("claude-haiku-5-5", "xhigh", "high"),
        ("claude-sonnet-5", "max", "max"),
        ("claude-opus-4-8", "max", "max"),
    ],
)
def test_effort_without_thinking(model: str, effort: Any, sent: str) -> None:
    """Some models can be without thinking only up to a certain effort."""
    assert tuned_for(model, effort=effort, max_tokens=100)[0].effort == sent


@pytest.mark.parametrize(
    "model", ["claude-opus-5-5", "claude-sonnet-5-5[1m]", "claude-fable-5-1", "claude-opus-9"]
)
@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", "look")])
def test_a_tool_that_cannot_be_forced(choice: ToolChoice, model: str) -> None:
    """Models that cannot be forced are asked without force, with their thinking, and the client is told."""
    tuning, ignored = tuned_for(model, tools=TOOLS, tool_choice=choice)
    assert "tool_choice" not in tuning.body
    assert tuning.thinking
    assert ignored == ["tool_choice"]


@pytest.mark.parametrize(
    "model", ["claude-haiku-5-5", "claude-sonnet-5", "claude-fable-5", "claude-haiku-4-5"]
)
def test_a_tool_that_can_be_forced(model: str) -> None:
    """If a model can be forced to call, it is, and without thinking if it can be without."""
    body = dict(tuned_for(model, tools=TOOLS, tool_choice=ToolChoice("required"))[0].body)
    del body["tools"]
    assert body == {"tool_choice": {"type": "any"}} | ({} if model == "claude-fable-5" else DISABLED)


SAMPLING = {"temperature": 0.2, "top_p": 0.5, "extra": {"top_k": 9}}


@pytest.mark.parametrize(
    ("model", "fields", "body", "ignored"),
    [
        ("claude-sonnet-4", {"temperature": 0.2}, {}, ["temperature"]),
        ("claude-sonnet-4", SAMPLING, {}, ["temperature", "top_p", "top_k"]),
        ("claude-sonnet-4", {"temperature": 1, "top_p": 1}, {}, []),
        (
            "claude-sonnet-4",
            {"effort": "none", **SAMPLING},
            {"temperature": 0.2, "top_p": 0.5, "top_k": 9} | DISABLED,
            [],
        ),
        ("claude-sonnet-4", {"effort": "none", "temperature": 0}, {"temperature": 0} | DISABLED, []),
        ("claude-sonnet-4", {"effort": "none", "temperature": 1.5}, DISABLED, ["temperature"]),
        ("claude-sonnet-4", {"effort": "none", "extra": {"top_k": 1}}, {"top_k": 1} | DISABLED, []),
        ("claude-3-5-haiku-latest", SAMPLING, {"temperature": 0.2, "top_p": 0.5, "top_k": 9}, []),
        (
            "claude-haiku-4-5",
            {"effort": "none", **SAMPLING},
            {"temperature": 0.2, "top_k": 9} | DISABLED,
            ["top_p"],
        ),
        ("claude-haiku-4-5", {"effort": "none", "top_p": 0.5}, DISABLED, ["top_p"]),
        ("claude-sonnet-5", {"effort": "none", **SAMPLING}, DISABLED, ["temperature", "top_p", "top_k"]),
        ("claude-sonnet-5", {"effort": "none", "temperature": 1, "top_p": 1}, DISABLED, []),
        ("claude-opus-4-7", {"max_tokens": 9, "temperature": 0}, DISABLED, ["temperature"]),
        ("claude-opus-5-5", {"temperature": 0}, {}, ["temperature"]),
    ],
)
def test_sampling(model: str, fields: dict[str, Any], body: dict[str, Any], ignored: list[str]) -> None:
    """Sampling is sent without thinking, if model and CLI accept it; the rest is named as ignored."""
    tuning, noted = tuned_for(model, **fields)
    assert (tuning.body, noted) == (body, ignored)


@pytest.mark.parametrize(
    ("refused", "fields", "sent", "ignored"),
    [
        ({"temperature"}, {"effort": "none", "temperature": 0.2}, DISABLED, ["temperature"]),
        ({"thinking"}, {"effort": "none"}, {}, ["reasoning_effort"]),
        ({"thinking"}, {"extra": {"anthropic_thinking": {"type": "disabled"}}}, {}, ["thinking"]),
        ({"effort"}, {"effort": "high"}, {}, ["reasoning_effort"]),
        ({"effort"}, {}, {}, []),
        ({"stop"}, {"stop": ["x"]}, {}, ["stop"]),
        ({"top_p", "seed"}, {"stop": ["x"]}, {"stop_sequences": ["x"]}, []),
    ],
)
def test_what_the_model_was_seen_to_refuse(
    refused: set[str], fields: dict[str, Any], sent: dict[str, Any], ignored: list[str]
) -> None:
    """What a model refused before is left out and named."""
    tuning, noted = tuned(refused=refused, **fields)
    assert (tuning.sent, noted) == (sent, ignored)


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
    """In the middle of a turn effort and thinking must stay the same; everything else may change."""
    assert tuned(**after)[0].may_follow(tuned(**before)[0]) is may


@pytest.mark.parametrize(
    ("before", "after", "body"),
    [(None, 9, {}), (9, 9, {}), (9, 10, {"max_tokens": 10}), (9, None, {}), (None, None, {})],
)
def test_a_limit_in_the_middle(before: int | None, after: int | None, body: dict[str, Any]) -> None:
    """A limit that changes while a turn runs is written into the body, where the CLI still reads it."""
    earlier = None if before is None else Tuning(max_tokens=before)
    written = Tuning(max_tokens=after).settings(earlier)["env"]["CLAUDE_CODE_EXTRA_BODY"]
    assert json.loads(written or "{}") == body


def test_marks_of_the_cache() -> None:
    """There is room for one of the client's cache marks: the last, which covers everything before it."""
    mark = {"cache_control": {"type": "ephemeral"}}
    tools = [Tool("a", fields=mark), Tool("b"), Tool("c", fields=mark), Tool("d")]
    tuning, ignored = tuned(tools=tools)
    assert ["cache_control" in tool for tool in tuning.body["tools"]] == [False, False, True, False]
    assert ignored == ["tools.cache_control"]
    assert tuned(tools=tools[1:])[1] == []


def marked(*ttls: str | None) -> list[Tool]:
    """Return a tool for each of these marks for the prompt cache; an empty text is one without a lifetime."""
    marks = [ttl if ttl is None else {"type": "ephemeral", **({"ttl": ttl} if ttl else {})} for ttl in ttls]
    fields: list[dict[str, Any]] = [{} if mark is None else {"cache_control": mark} for mark in marks]
    return [Tool(f"tool{number}", fields=each) for number, each in enumerate(fields)]


@pytest.mark.parametrize(
    ("ttls", "has_plan", "kept"),
    [
        (("", None), False, [0]),
        (("5m", "5m", None), False, [1]),
        (("", None), True, []),
        (("5m",), True, []),
        (("1h", ""), True, []),
        (("", "1h"), True, [1]),
        (("1h",), True, [0]),
        ((None, None), True, []),
    ],
)
def test_marks_of_tools(ttls: tuple[str | None, ...], *, has_plan: bool, kept: list[int]) -> None:
    """The last mark stays; with a plan only if it is for an hour, as the CLI's own are, which come later."""
    tools = marked(*ttls)
    request = Request("m", tools=tools)
    written = tune(request, ANY, BOTH, has_plan=has_plan).body["tools"]
    assert [number for number, tool in enumerate(written) if "cache_control" in tool] == kept
    dropped = len(kept) < sum(ttl is not None for ttl in ttls)
    assert request.ignored == (["tools.cache_control"] if dropped else [])
