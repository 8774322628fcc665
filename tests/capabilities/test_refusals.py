"""What providers refuse: read from their real messages, removed from request bodies, and remembered."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from claude_max_proxy import Request
from claude_max_proxy.capabilities.refusals import (
    ADVICE,
    DISPENSABLE,
    Refusals,
    explained,
    holds,
    refused_parameter,
    strip,
    tell,
)
from claude_max_proxy.errors import UpstreamRefused


EITHER = '. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
# What providers say, word for word: Anthropic's API, OpenAI's, and servers like theirs.
SAID: list[tuple[str, str | None, str | None]] = [
    ("`temperature` is deprecated for this model.", None, "temperature"),
    ("API Error: 400 `top_p` is deprecated for this model.", None, "top_p"),
    ("`top_k` is deprecated for this model.", None, "top_k"),
    (
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        None,
        "top_p",
    ),
    (
        "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
        None,
        "temperature",
    ),
    (
        "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled",
        None,
        "top_p",
    ),
    ('"thinking.type.disabled" is not supported for this model' + EITHER, None, "thinking"),
    ('"thinking.type.enabled" is not supported for this model' + EITHER, None, "thinking"),
    ("adaptive thinking is not supported on this model", None, "thinking"),
    (
        "thinking: Input tag 'adaptive' found using 'type' does not match any of the expected tags",
        None,
        "thinking",
    ),
    ("This model does not support the effort parameter.", None, "effort"),
    ("output_config.effort: Extra inputs are not permitted", None, "effort"),
    ("output_config.format: Extra inputs are not permitted", None, "response_format"),
    ('tool_choice: type "tool" and "any" are not supported for this model.', None, "tool_choice"),
    ("Thinking may not be enabled when tool_choice forces tool use.", None, "tool_choice"),
    ("tools.0.custom.strict: Extra inputs are not permitted", None, "tools.strict"),
    ("tools.3.custom.input_examples: Extra inputs are not permitted", None, "tools.input_examples"),
    ("tools.0.custom.defer_loading: Extra inputs are not permitted", None, "tools.defer_loading"),
    ("tools.0.custom.cache_control.ttl: Extra inputs are not permitted", None, "tools.cache_control"),
    ("Unknown parameter: 'tools[0].function.strict'.", "tools[0].function.strict", "tools.strict"),
    ("tools.0.type: unsupported", None, "tools"),
    ("messages.1.content.0.cache_control: Extra inputs are not permitted", None, "cache_control"),
    ("system.0.cache_control.scope: Extra inputs are not permitted", None, "cache_control"),
    ("context_management: Extra inputs are not permitted", None, "context_management"),
    ("metadata.foo: Extra inputs are not permitted", None, "metadata"),
    ("service_tier: not supported for this organization", None, "service_tier"),
    ("Unsupported parameter: 'temperature' is not supported with this model.", "temperature", "temperature"),
    (
        "Unsupported value: 'temperature' does not support 0.2 with this model.",
        "temperature",
        "temperature",
    ),
    ("Unsupported parameter: 'stop' is not supported with this model.", "stop", "stop"),
    (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'",
        "max_tokens",
        "max_tokens",
    ),
    ("Unknown parameter: 'user'.", "user", "user"),
    ("Unrecognized request argument supplied: reasoning_effort", None, "effort"),
    # a value that is wrong, another subject, or nothing that a request says
    ("temperature: range: 0..1", None, None),
    ("max_tokens: 200000 > 128000, which is the maximum", None, None),
    ("messages.3.content.0: Invalid `signature` in `thinking` block", None, None),
    ("messages.1.content.2.thinking.signature: Extra inputs are not permitted", None, None),
    ("the user is not allowed to use this model", None, None),
    ("this model is not available in your store", None, None),
    ("images are not supported by this model", None, None),
    ("Your credit balance is too low to access the Anthropic API.", None, None),
]


@pytest.mark.parametrize(("text", "param", "name"), SAID)
def test_what_is_named(text: str, param: str | None, name: str | None) -> None:
    """An error names the parameter that was refused, even after a path that we add."""
    assert refused_parameter(text, param) == name
    assert refused_parameter(f"the provider refused the request: API Error: 400 {text}", param) == name
    assert name is None or (name in DISPENSABLE) != (name in ADVICE)


BODY: dict[str, Any] = {
    "temperature": 0.2,
    "stop_sequences": ["x"],
    "thinking": {"type": "disabled"},
    "output_config": {"effort": "low"},
    "cache_control": {"type": "ephemeral"},
    "system": [{"type": "text", "text": "s", "cache_control": {}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "content": [{"type": "text", "text": "t", "cache_control": {}}]},
                {"type": "tool_use", "input": {"cache_control": "the client's own"}},
            ],
        }
    ],
    "tools": [
        {"name": "a", "strict": True, "cache_control": {}, "input_schema": {"strict": {}}},
        {"function": {"name": "b", "strict": True}},
    ],
}


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("temperature", {"temperature": None}),
        ("stop", {"stop_sequences": None}),
        ("thinking", {"thinking": None}),
        ("effort", {"output_config": None}),
        (
            "tools.strict",
            {
                "tools": [
                    {"name": "a", "cache_control": {}, "input_schema": {"strict": {}}},
                    {"function": {"name": "b"}},
                ]
            },
        ),
        (
            "cache_control",
            {
                "cache_control": None,
                "system": [{"type": "text", "text": "s"}],
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "tool_result", "content": [{"type": "text", "text": "t"}]},
                            {"type": "tool_use", "input": {"cache_control": "the client's own"}},
                        ],
                    }
                ],
            },
        ),
    ],
)
def test_what_is_taken_out(name: str, left: dict[str, Any]) -> None:
    """A parameter is removed wherever it is, and nothing else is."""
    body = copy.deepcopy(BODY)
    assert holds(body, name)
    assert strip(body, {name, "seed"}) == [name]
    assert body == {key: value for key, value in (BODY | left).items() if value is not None}
    assert not holds(body, name)
    assert strip(body, {name}) == []


def refusal(text: str) -> UpstreamRefused:
    """Return what a backend learns from its provider's message."""
    return UpstreamRefused(f"the provider refused the request: {text}")


def test_what_is_learned() -> None:
    """Each model has its own refusals; nothing is learned from what cannot be left out or was not said."""
    refusals = Refusals()
    assert refusals.learn("m", refusal("`temperature` is deprecated for this model."), BODY)
    assert not refusals.learn("m", refusal("`top_p` is deprecated for this model."), BODY)
    assert not refusals.learn("m", refusal('tool_choice: type "any" is not supported'), {"tool_choice": {}})
    assert not refusals.learn("m", refusal("no"), BODY)
    assert (refusals.of("m"), refusals.of("n")) == (frozenset({"temperature"}), frozenset())


def test_the_memory_is_bounded() -> None:
    """Models have names that clients choose: if there are very many, the first are forgotten."""
    refusals = Refusals()
    for number in range(1000):
        refusals.learn(str(number), refusal("`temperature` is deprecated"), BODY)
    assert refusals.of("999")
    assert not refusals.of("0")


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        ({}, ["reasoning_effort", "top_p"]),
        ({"anthropic_thinking": {"type": "adaptive"}}, ["thinking", "reasoning_effort", "top_p"]),
    ],
)
def test_what_the_client_is_told(extra: dict[str, Any], names: list[str]) -> None:
    """What is left out is named as the client calls it."""
    request = Request("m", extra=extra)
    tell(request, ["thinking", "effort", "top_p"])
    assert request.ignored == names


def test_advice() -> None:
    """Where something cannot be left out, the error says what the client can do."""
    error = explained(refusal('tool_choice: type "tool" and "any" are not supported for this model.'))
    assert error.param == "tool_choice"
    assert 'leave it at "auto"' in error.message
    other = refusal("no")
    assert explained(other) is other


@pytest.mark.parametrize(
    "text",
    [
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        "system.0.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' one",
    ],
)
def test_marks_on_tools(text: str) -> None:
    """All cache marks are counted together; if only tools have marks of ours, those are removed."""
    learned = Refusals()
    ours = {"tools": BODY["tools"]}
    assert learned.learn("m", refusal(text), ours)
    assert learned.of("m") == {"tools.cache_control"}
    assert not Refusals().learn("m", refusal(text), {"tools": [{"name": "a"}]})
    everywhere = Refusals()
    assert everywhere.learn("m", refusal(text), BODY)
    assert everywhere.of("m") == {"cache_control"}


@pytest.mark.parametrize(
    "text",
    [
        "tools.1.custom: For 'object' type, 'additionalProperties' must be explicitly set to false",
        "tools.0.custom: For 'object' type, property 'minProperties' is not supported",
    ],
)
def test_a_schema_that_cannot_be_enforced(text: str) -> None:
    """The tool that is refused is sent without being enforced, and all other tools stay as they are."""
    assert refused_parameter(text) == "tools.strict"
    refusals = Refusals()
    assert refusals.learn("m", refusal(text), BODY, ["these"])
    assert refusals.of("m", ["these"]) == {"tools.strict"}
    assert refusals.of("m", ["others"]) == refusals.of("m") == set()
