"""Writes for the Messages API whether and how long the model thinks. Pure."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import Message, Reasoning, Request, ToolResult
from claude_max_proxy.anthropic_messages import Abilities
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.capabilities import refusals


_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 49_152}
_SMALLEST_BUDGET = 1024
_LEVELS = ("low", "medium", "high", "xhigh", "max")
# For a model that we do not know, the parameters are passed on as the client or the settings have them.
_UNKNOWN = Abilities("all", "either", known=False)


def think(
    body: dict[str, Any], request: Request, settings: AnthropicApiSettings, abilities: Abilities | None
) -> None:
    """Add to ``body`` what it says about thinking; a model that is made to call a tool cannot think.

    If the client has used the API's own parameter (``request.extra["anthropic_thinking"]``), it is passed on
    in a form that the model accepts. ``abilities`` are ``None`` for a model that is not one of Claude's.
    """
    own = request.extra.get("anthropic_thinking")
    forced = body.get("tool_choice", {}).get("type") in {"any", "tool"}
    can = abilities or _UNKNOWN
    if forced or request.effort == "none" or (own and own["type"] == "disabled" and request.effort is None):
        _off(body, request, abilities, asked=not forced)
    elif own is not None and not own and (request.effort is None or abilities is not None):
        _effort(body, request, can)  # the client says nothing about thinking, so neither do we
    elif own and own["type"] != "disabled":
        _on(body, request, can, own)
    elif settings.thinking == "off":
        if request.effort is not None:
            request.ignore("reasoning_effort")
        if abilities is not None:
            _off(body, request, abilities, asked=False)
    else:
        kind = "enabled" if settings.thinking == "budget" else "adaptive"
        _on(body, request, can, {"type": kind})


def thinks(body: dict[str, Any]) -> bool:
    """Return whether ``body`` asks the model to think."""
    return body.get("thinking", {}).get("type") in {"enabled", "adaptive"}


def _off(body: dict[str, Any], request: Request, abilities: Abilities | None, *, asked: bool) -> None:
    """Switch thinking off, or do the nearest to that, and note in the request if thinking stays on."""
    own = request.extra.get("anthropic_thinking")
    if abilities is None:
        if asked and own and own["type"] == "disabled":
            body["thinking"] = own
        return
    if abilities.thinking == "none":
        return

    if abilities.off:
        body["thinking"] = {"type": abilities.off}
    elif asked:
        body["output_config"] = {"effort": "low"}
    if asked and abilities.off != "disabled":
        refusals.tell(request, ["thinking"])


def _on(body: dict[str, Any], request: Request, abilities: Abilities, wanted: dict[str, Any]) -> None:
    """Ask for the kind of thinking that is wanted or, if the model does not have it, for the kind it has."""
    match wanted["type"], abilities.thinking:
        case _, "none":
            refusals.tell(request, ["thinking"])
        case "adaptive", "budget":
            _budget(body, request)
        case "enabled", "adaptive":
            body["thinking"] = {**wanted, "type": "adaptive"}
            body["thinking"].pop("budget_tokens", None)
            _effort(body, request, abilities)
        case "enabled", _ if "budget_tokens" not in wanted:
            _budget(body, request)
        case _:
            body["thinking"] = wanted
            if wanted["type"] == "adaptive":
                _effort(body, request, abilities)


def _effort(body: dict[str, Any], request: Request, abilities: Abilities) -> None:
    if request.effort is None or not abilities.efforts:
        return

    wanted = "low" if request.effort == "minimal" else request.effort
    lower = [level for level in abilities.efforts if _LEVELS.index(level) <= _LEVELS.index(wanted)]
    body["output_config"] = {"effort": lower[-1]}


def _budget(body: dict[str, Any], request: Request) -> None:
    """Ask for thinking with a budget of tokens, unless that is not possible.

    The budget is part of the client's limit on the answer; if the client sets none, it is added to ours. In a
    tool loop, the API wants the signed thoughts before the call, so without these there is no thinking.
    """
    if _in_tool_use(request.messages) and not _thought(request.messages):
        return

    budget = _BUDGETS[request.effort or "medium"]
    if request.max_tokens is None:
        body["max_tokens"] += budget
    else:
        budget = min(budget, request.max_tokens // 2)
    if budget >= _SMALLEST_BUDGET:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _in_tool_use(messages: list[Message]) -> bool:
    return bool(messages) and any(isinstance(part, ToolResult) for part in messages[-1].parts)


def _thought(messages: list[Message]) -> bool:
    """Return whether the newest answer begins with a thought that can be sent back to the API."""
    parts = next((message.parts for message in reversed(messages) if message.role == "assistant"), [])
    return bool(parts) and isinstance(parts[0], Reasoning) and bool(parts[0].signature)
