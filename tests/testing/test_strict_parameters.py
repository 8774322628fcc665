"""What the scripted API refuses in parameters, by model, and in fields that it does not know."""

from __future__ import annotations

from typing import Any, Required, get_origin, get_type_hints

import anthropic.types
import pytest
from anthropic.types import beta, message_create_params

from claude_max_proxy.testing.strictness import RULES, fields, refusal
from claude_max_proxy.testing.strictness.models import MODELS, model_of
from tests.judging import BASE, HEADERS, Case, judge, rule_of


_ABOUT = "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/"
_LIMITS = f"{_ABOUT}extended-thinking#important-considerations-when-using-extended-thinking"
_ADAPT = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
HAIKU, OPUS_4_1, SONNET_4_6 = "claude-haiku-4-5-20251001", "claude-opus-4-1", "claude-sonnet-4-6"
OPUS_4_8, OPUS_5, SONNET_5, NEWEST = "claude-opus-4-8", "claude-opus-5", "claude-sonnet-5", "claude-opus-5-5"
BOTH = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."


def of(model: str, **parameters: Any) -> dict[str, Any]:
    """Return the change that asks a model with these parameters."""
    return {"model": model, **parameters}


def thinking(kind: str = "enabled", budget: int | None = 1024, **more: Any) -> dict[str, Any]:
    """Return the change that sets the thinking of a request."""
    budgets = {"budget_tokens": budget} if kind == "enabled" and budget is not None else {}
    return {"thinking": {"type": kind, **budgets}, "max_tokens": 2000, **more}


def effort(level: str, **more: Any) -> dict[str, Any]:
    """Return the change that sets the effort of a request."""
    return {"output_config": {"effort": level}, **more}


SAMPLING = [
    Case(
        "temperature: Input should be less than or equal to 1",
        of(HAIKU, temperature=1.1),
        of(HAIKU, temperature=1),
    ),
    Case(
        "temperature: Input should be a valid number", of(HAIKU, temperature=None) | {"temperature": "1"}, {}
    ),
    Case(BOTH, of(HAIKU, temperature=0.5, top_p=0.5), of(HAIKU, temperature=0.5)),
    Case(
        BOTH,
        of(OPUS_4_1, temperature=0.5, top_p=0.5),
        of("claude-opus-4-20250514", temperature=0.5, top_p=0.5),
    ),
    *[
        Case(
            f"`{name}` is deprecated for this model.",
            of(model, **{name: value}),
            of(SONNET_4_6, **{name: value}),
        )
        for model in (OPUS_4_8, OPUS_5, SONNET_5, NEWEST)
        for name, value in (("temperature", 0.5), ("top_p", 0.5), ("top_k", 5))
    ],
    Case("`temperature` is deprecated for this model.", of(OPUS_5, temperature=0), of(OPUS_5, temperature=1)),
    Case(
        f"`temperature` may only be set to 1 when thinking is enabled. {_LIMITS}",
        of(HAIKU, temperature=0.5, **thinking()),
        of(HAIKU, temperature=1, **thinking()),
    ),
    Case(
        "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
        of(SONNET_4_6, top_p=0.9, **thinking("adaptive")),
        of(SONNET_4_6, top_p=0.95, **thinking("adaptive")),
    ),
    Case(
        f"`top_k` must be unset when thinking is enabled. {_LIMITS}",
        of(HAIKU, top_k=5, **thinking()),
        of(HAIKU, top_k=5, **thinking("disabled")),
    ),
]
THINKING = [
    Case(
        f'"thinking.type.enabled" is not supported for this model. {_ADAPT}',
        of(OPUS_4_8, **thinking()),
        of(OPUS_4_8, **thinking("adaptive")),
    ),
    Case(
        f'"thinking.type.disabled" is not supported for this model. {_ADAPT}',
        of(NEWEST, **thinking("disabled")),
        of(OPUS_5, **thinking("disabled")),
    ),
    Case(
        "adaptive thinking is not supported on this model",
        of(HAIKU, **thinking("adaptive")),
        of(SONNET_4_6, **thinking("adaptive")),
    ),
    Case(
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
        of(HAIKU, **thinking(budget=1023)),
        of(HAIKU, **thinking(budget=1024)),
    ),
    Case(
        "thinking.enabled.budget_tokens: Field required",
        of(HAIKU, **thinking(budget=None)),
        of(HAIKU, **thinking()),
    ),
    Case(
        "thinking.disabled.display: Extra inputs are not permitted",
        of(OPUS_5, thinking={"type": "disabled", "display": "omitted"}),
        of(OPUS_5, thinking={"type": "adaptive", "display": "omitted"}),
    ),
    Case(
        "thinking: Input tag 'on' found using 'type' does not match any of the expected tags: 'adaptive', "
        "'between_tools', 'disabled', 'enabled'",
        of(OPUS_5, **thinking("on")),
        of(OPUS_5, **thinking("adaptive")),
    ),
]
TOKENS = [
    Case(
        "`max_tokens` must be greater than `thinking.budget_tokens`. "
        f"{_ABOUT}extended-thinking#max-tokens-and-context-window-size",
        of(HAIKU, **thinking(budget=2000)),
        of(HAIKU, **thinking(budget=1999)),
    ),
    Case(
        f"max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for {HAIKU}",
        of(HAIKU, max_tokens=64001),
        of(HAIKU, max_tokens=64000),
    ),
    Case("max_tokens: Field required", {"max_tokens": None}, {"max_tokens": 1}),
    Case("max_tokens: Input should be greater than or equal to 0", {"max_tokens": -1}, {"max_tokens": 1}),
    Case("max_tokens: Input should be a valid integer", {"max_tokens": 1.5}, {"max_tokens": 1}),
]
EFFORTS = [
    Case(
        "This model does not support the effort parameter.",
        of(HAIKU, **effort("low")),
        of("claude-opus-4-5", **effort("low")),
    ),
    Case(
        "output_config.effort 'xhigh' is not supported on this model.",
        of(SONNET_4_6, **effort("xhigh")),
        of(OPUS_4_8, **effort("xhigh")),
    ),
    Case(
        "output_config.effort 'xhigh' is not supported when thinking is disabled on this model. "
        "Use effort 'high' or below, or enable thinking.",
        of(OPUS_5, **effort("xhigh", **thinking("disabled"))),
        of(OPUS_5, **effort("high", **thinking("disabled"))),
    ),
    Case(
        "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
        of(OPUS_5, **effort("minimal")),
        of(OPUS_5, **effort("low")),
    ),
]
STOPS = [
    *[
        Case(
            "stop_sequences: each stop sequence must contain non-whitespace",
            {"stop_sequences": ["a", stop]},
            {"stop_sequences": ["a", f"{stop}b"]},
        )
        for stop in ("", " ", "\n\n", "\u3000")
    ],
    Case("stop_sequences.0: Input should be a valid string", {"stop_sequences": [1]}, {"stop_sequences": []}),
]
UNKNOWN = [
    *[
        Case(f"{name}: Extra inputs are not permitted", {name: value}, {})
        for name, value in (
            ("seed", 1),
            ("response_format", {}),
            ("stop", "a"),
            ("parallel_tool_calls", True),
        )
    ],
    *[
        Case(f"{name}: Extra inputs are not permitted", {name: value}, {})
        for name, value in (("context_management", {"edits": []}), ("mcp_servers", []))
    ],
    Case(
        "metadata.source: Extra inputs are not permitted",
        {"metadata": {"source": "a"}},
        {"metadata": {"user_id": "a"}},
    ),
    Case("model: Field required", {"model": None}, {}),
    Case("messages: Input should be a valid list", {"messages": "a"}, {}),
    Case("stream: Input should be a valid boolean", {"stream": "true"}, {"stream": True}),
    Case(
        "service_tier: Input should be 'auto' or 'standard_only'",
        {"service_tier": "flex"},
        {"service_tier": "auto"},
    ),
]
CASES = [*SAMPLING, *THINKING, *TOKENS, *EFFORTS, *STOPS, *UNKNOWN]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.message[:60])
def test_the_fault_alone_is_refused(case: Case) -> None:
    """The API refuses the fault in its own words, and nothing else."""
    assert judge(case.bad) == case.message
    assert judge(case.good) == ""


def test_the_rules_have_cases() -> None:
    """Each rule about parameters refuses at least one of the cases."""
    rules = {
        "_check_request",
        "check_thinking",
        "check_output",
        "check_tokens",
        "check_sampling",
        "check_stops",
    }
    assert {rule_of(case) for case in CASES} >= rules
    assert len(RULES) == len({rule.__name__ for rule in RULES})


@pytest.mark.parametrize(
    ("name", "value", "betas"),
    [
        ("context_management", {"edits": []}, "context-management-2025-06-27"),
        ("mcp_servers", [], "a, mcp-client-2025-11-20"),
    ],
)
def test_a_beta_lets_its_field_in(name: str, value: object, betas: str) -> None:
    """A beta field is accepted from clients that name its beta."""
    assert judge({name: value}, betas) == ""
    assert judge({name: value}, "other-2025-01-01") == f"{name}: Extra inputs are not permitted"


@pytest.mark.parametrize("missing", ["x-api-key", "anthropic-version"])
def test_headers_are_needed(missing: str) -> None:
    """Without a key or a version the API refuses any request; a bearer token is as good as a key."""
    headers = {name: value for name, value in HEADERS.items() if name != missing}
    fault = refusal(BASE, headers)
    assert fault is not None
    assert (fault.status, missing in fault.message) == (401 if missing == "x-api-key" else 400, True)
    assert refusal(BASE, headers | {missing: "a"}) is None
    assert refusal(BASE, HEADERS | {"authorization": "Bearer a"}) is None


def test_every_model_says_what_it_takes() -> None:
    """Each model has its own row, also if its name ends with a date; unknown models are not checked."""
    for name, model in MODELS.items():
        assert model_of(name) is model
        assert model_of(f"{name}-20301231") is model
        assert judge(of(name, max_tokens=model.output or 1)) == ""
    assert model_of("claude-opus-4-55") is MODELS["claude-opus-4"]
    assert judge(of("m", temperature=0.5, top_p=0.5)) == ""


HEADER_FIELDS = ("betas", "user_profile_id", "workspace_id")
"""What the SDK sends in headers."""


def fields_of(struct: type) -> dict[str, bool]:
    """Return the fields that the SDK knows for a type, and those that it requires."""
    hints = get_type_hints(struct, include_extras=True)
    return {name: get_origin(hint) is Required for name, hint in hints.items() if name not in HEADER_FIELDS}


@pytest.mark.parametrize(
    ("known", "struct"),
    [
        (fields.BLOCKS["text"], anthropic.types.TextBlockParam),
        (fields.BLOCKS["image"], anthropic.types.ImageBlockParam),
        (fields.BLOCKS["document"], anthropic.types.DocumentBlockParam),
        (fields.BLOCKS["search_result"], anthropic.types.SearchResultBlockParam),
        (fields.BLOCKS["thinking"], anthropic.types.ThinkingBlockParam),
        (fields.BLOCKS["redacted_thinking"], anthropic.types.RedactedThinkingBlockParam),
        (fields.BLOCKS["tool_use"], anthropic.types.ToolUseBlockParam),
        (fields.BLOCKS["tool_result"], anthropic.types.ToolResultBlockParam),
        (fields.TOOL, anthropic.types.ToolParam),
        (fields.TOOL_CHOICE["tool"], anthropic.types.ToolChoiceToolParam),
        (fields.TOOL_CHOICE["none"], anthropic.types.ToolChoiceNoneParam),
        (fields.THINKING["enabled"], anthropic.types.ThinkingConfigEnabledParam),
        (fields.THINKING["adaptive"], anthropic.types.ThinkingConfigAdaptiveParam),
        (fields.THINKING["disabled"], anthropic.types.ThinkingConfigDisabledParam),
        (fields.OUTPUT_FORMAT, anthropic.types.JSONOutputFormatParam),
        (fields.OUTPUT_CONFIG, beta.BetaOutputConfigParam),
        (fields.METADATA, anthropic.types.MetadataParam),
        (fields.SOURCES["image"]["base64"], anthropic.types.Base64ImageSourceParam),
    ],
)
def test_the_fields_are_those_of_the_sdk(known: fields.Fields, struct: type) -> None:
    """The SDK is generated from the API's own description: both have and require the same fields."""
    assert {name: field.required for name, field in known.items()} == fields_of(struct)


def test_a_request_has_the_fields_of_the_sdk() -> None:
    """Fields that the SDK has only in its beta need a beta here, except those that are older than the SDK."""
    older = {"temperature", "top_p", "top_k", "output_format"}
    public = {name for name, field in fields.REQUEST.items() if not field.beta} - older
    # The SDK has `stream` in the two forms of a request.
    assert public == fields_of(message_create_params.MessageCreateParamsBase).keys() | {"stream"}
    trial = fields_of(beta.message_create_params.MessageCreateParamsBase).keys() - public
    assert fields.REQUEST.keys() - public - older == trial
