"""Refuses requests that the real Messages API refuses.

    refusal({"model": "claude-sonnet-5", "max_tokens": 1, "messages": []}, headers)
    # Fault(400, "invalid_request_error", "messages: at least one message is required")

This is pure, and depends on nothing but this package. The rules are in `RULES`; each module names the sources
of its rules and of their wording. What depends on an account or a model is not checked: unknown models,
limits of a plan, the length of a prompt in tokens, or whether the signature of a thought is genuine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from claude_max_proxy.testing.answers import Fault, fault
from claude_max_proxy.testing.strictness.caching import check_caching
from claude_max_proxy.testing.strictness.content import Body, check_roles, check_shapes, check_texts
from claude_max_proxy.testing.strictness.fields import REQUEST
from claude_max_proxy.testing.strictness.media import check_media
from claude_max_proxy.testing.strictness.parameters import (
    check_output,
    check_sampling,
    check_stops,
    check_thinking,
    check_tokens,
)
from claude_max_proxy.testing.strictness.shapes import Betas, check_fields
from claude_max_proxy.testing.strictness.tool_calls import check_ids, check_pairs, check_sides
from claude_max_proxy.testing.strictness.tools import check_tool_choice, check_tools


Rule = Callable[[Body, Betas], Iterator[str]]


def _check_request(body: Body, betas: Betas) -> Iterator[str]:
    yield from check_fields(body, REQUEST, "", betas)


RULES: tuple[Rule, ...] = (
    _check_request,
    check_shapes,
    check_roles,
    check_tools,
    check_tool_choice,
    check_thinking,
    check_output,
    check_tokens,
    check_sampling,
    check_stops,
    check_texts,
    check_sides,
    check_ids,
    check_pairs,
    check_media,
    check_caching,
)
"""The rules, in their order; each can rely on those before it."""


def refusal(body: Body, headers: Mapping[str, str]) -> Fault | None:
    """Return the error with which the real API would refuse a request, or None if it would answer.

    `headers` must have names in lower case.
    """
    if not headers.keys() & {"x-api-key", "authorization"}:
        return fault(401, "x-api-key header is required")
    if "anthropic-version" not in headers:
        return fault(400, "anthropic-version: header is required")
    betas = tuple(beta.strip() for beta in headers.get("anthropic-beta", "").split(","))
    for rule in RULES:
        for message in rule(body, betas):
            return fault(400, message)
    return None


__all__ = ["RULES", "Rule", "refusal"]
