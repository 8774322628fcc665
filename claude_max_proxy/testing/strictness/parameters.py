"""Checks the parameters for the model: tokens, thinking, effort, sampling, stop sequences, answer format.

Sources: github.com/anthropics/claude-code/issues/11302 (too many tokens), themaximalist/llm.js/issues/30 and
ProfSynapse/nexus/issues/17 (budgets), stippi/code-assistant/pull/119 and
ex-machina-co/opencode-anthropic-auth/issues/159 (thinking that a model does not accept),
vellum-ai/vellum-assistant/pull/37276 (adaptive thinking), anthropics/claude-code/issues/81084 (effort without
thinking), Oaklight/llm-rosetta/pull/289 (no effort), MartialBE/one-hub/issues/529 and
quarkiverse/quarkus-langchain4j/issues/1812 (sampling while thinking),
ChatterUI/issues/564 (temperature and top_p), TestPlanIt/testplanit/issues/220 (no temperature),
BerriAI/litellm/issues/3286 (stop sequences). What each model accepts is in `models`.
"""

from __future__ import annotations

from collections.abc import Iterator

from claude_max_proxy.testing.strictness.content import Body
from claude_max_proxy.testing.strictness.fields import METADATA, OUTPUT_CONFIG, OUTPUT_FORMAT, THINKING
from claude_max_proxy.testing.strictness.models import Model, model_of
from claude_max_proxy.testing.strictness.output_schemas import check_output_schema
from claude_max_proxy.testing.strictness.shapes import Betas, check_fields, check_tagged, tag_of


_ABOUT = "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/"
_LIMITS = f"{_ABOUT}extended-thinking#important-considerations-when-using-extended-thinking"
_ADAPT = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
_LEAST_TOP_P = 0.95


def check_tokens(body: Body, betas: Betas) -> Iterator[str]:
    """Yield errors for more tokens than the model can write, and for budgets that exceed the limit."""
    model, most = model_of(body["model"]), body["max_tokens"]
    if model and 0 < model.output < most:
        yield (
            f"max_tokens: {most} > {model.output}, which is the maximum allowed number of output tokens "
            f"for {body['model']}"
        )
    budget = body.get("thinking", {}).get("budget_tokens", 0)
    interleaved = any(beta.startswith("interleaved-thinking-") for beta in betas) and body.get("tools")
    if budget >= most > 0 and not interleaved:
        yield (
            "`max_tokens` must be greater than `thinking.budget_tokens`. "
            f"{_ABOUT}extended-thinking#max-tokens-and-context-window-size"
        )


def check_thinking(body: Body, betas: Betas) -> Iterator[str]:
    """Yield errors for thinking that does not have the API's form, or that the model does not accept."""
    thinking, model = body.get("thinking"), model_of(body["model"])
    if thinking is None:
        return
    faults = list(check_tagged(thinking, THINKING, "thinking", betas))
    yield from faults
    if faults or model is None or thinking["type"] in model.thinking:
        return
    if thinking["type"] == "adaptive":
        yield "adaptive thinking is not supported on this model"
    else:
        yield f'"thinking.type.{thinking["type"]}" is not supported for this model. {_ADAPT}'


def check_output(body: Body, betas: Betas) -> Iterator[str]:
    """Yield errors for an effort that the model does not accept, and for a schema that cannot be enforced."""
    config = body.get("output_config")
    if config is None:
        return
    faults = list(check_fields(config, OUTPUT_CONFIG, "output_config", betas))
    yield from faults
    if faults:
        return
    model = model_of(body["model"])
    if model and config.get("effort"):
        yield from _check_effort(config["effort"], model, tag_of(body.get("thinking")))
    if config.get("format") is not None:
        path = "output_config.format"
        faults = list(check_fields(config["format"], OUTPUT_FORMAT, path, betas))
        told = check_output_schema(config["format"]["schema"]) if not faults else ()
        yield from faults
        yield from (f"{path}.schema: {message}" for message in told)


def _check_effort(effort: str, model: Model, thinking: str | None) -> Iterator[str]:
    if not model.efforts:
        yield "This model does not support the effort parameter."
    elif effort not in model.efforts:
        yield f"output_config.effort '{effort}' is not supported on this model."
    elif thinking == "disabled" and effort not in (model.disabled_up_to or model.efforts):
        yield (
            f"output_config.effort '{effort}' is not supported when thinking is disabled on this model. "
            f"Use effort '{model.disabled_up_to[-1]}' or below, or enable thinking."
        )


def check_sampling(body: Body, _: Betas) -> Iterator[str]:
    """Yield errors for sampling parameters that the model does not accept, with or without thinking."""
    model = model_of(body["model"])
    sent = {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body}
    if model and model.sampling == "default":
        # The migration guides say that an explicit default is accepted.
        changed = [name for name, value in sent.items() if name == "top_k" or value != 1]
        yield from (f"`{name}` is deprecated for this model." for name in changed)
    if model and model.sampling != "any" and {"temperature", "top_p"} <= sent.keys():
        yield "`temperature` and `top_p` cannot both be specified for this model. Please use only one."
    if tag_of(body.get("thinking")) in ("enabled", "adaptive"):
        if sent.get("temperature", 1) != 1:
            yield f"`temperature` may only be set to 1 when thinking is enabled. {_LIMITS}"
        if sent.get("top_p", 1) < _LEAST_TOP_P:
            yield "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled."
        if "top_k" in sent:
            yield f"`top_k` must be unset when thinking is enabled. {_LIMITS}"


def check_stops(body: Body, betas: Betas) -> Iterator[str]:
    """Yield errors for stop sequences without text, and for metadata that does not have the API's form."""
    if any(not stop.strip() for stop in body.get("stop_sequences", [])):
        yield "stop_sequences: each stop sequence must contain non-whitespace"
    if "metadata" in body:
        yield from check_fields(body["metadata"], METADATA, "metadata", betas)
