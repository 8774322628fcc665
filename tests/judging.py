"""Cases for the strict API: what is wrong, the same without the mistake, and what the API says.

A case changes `BASE`; `good` and `bad` differ in the fault alone, so that nothing else can be what was
refused.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy.testing.strictness import RULES, refusal


HEADERS = {"x-api-key": "sk-ant-dummy", "anthropic-version": "2023-06-01"}
BASE = {
    "model": "claude-haiku-4-5",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello!"}],
}


class Case(msgspec.Struct, frozen=True):
    """A mistake and its absence. `bad` and `good` are changes to `BASE`; a field of None is removed."""

    message: str
    bad: dict[str, Any]
    good: dict[str, Any]
    betas: str = ""


def judge(changes: dict[str, Any], betas: str = "") -> str:
    """Return the message with which a request with these changes is refused, or an empty text."""
    body = {name: value for name, value in (BASE | changes).items() if value is not None}
    fault = refusal(body, HEADERS | {"anthropic-beta": betas})
    return fault.message if fault else ""


def rule_of(case: Case) -> str:
    """Return the name of the rule that refuses the case."""
    body = {name: value for name, value in (BASE | case.bad).items() if value is not None}
    told = (rule.__name__ for rule in RULES if any(rule(body, (case.betas,))))
    return next(told, "")


def user(*content: Any) -> dict[str, Any]:
    """Return a user's message of these blocks, or of one string."""
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def assistant(*content: Any) -> dict[str, Any]:
    """Return an assistant's message of these blocks, or of one string."""
    return user(*content) | {"role": "assistant"}


def text(words: str, **more: Any) -> dict[str, Any]:
    """Return a block of text."""
    return {"type": "text", "text": words, **more}


def call(number: str = "toolu_1", **more: Any) -> dict[str, Any]:
    """Return a call of a tool."""
    return {"type": "tool_use", "id": number, "name": "look", "input": {}, **more}


def result(number: str = "toolu_1", *, content: Any = "seen", **more: Any) -> dict[str, Any]:
    """Return a tool's result."""
    return {"type": "tool_result", "tool_use_id": number, "content": content, **more}


def messages(*said: dict[str, Any]) -> dict[str, Any]:
    """Return the change that makes these the whole conversation."""
    return {"messages": list(said)}
