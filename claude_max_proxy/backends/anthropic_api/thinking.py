"""Whether and how long the model thinks, as the Messages API takes it. Pure."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import Message, Reasoning, Request, ToolResult, refusals
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.messages_api import Abilities


_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 49_152}
_SMALLEST_BUDGET = 1024
_LEVELS = ("low", "medium", "high", "xhigh", "max")
# What is not known is passed on as the client or the settings say it.
_UNKNOWN = Abilities("all", "either", known=False)


def think(
    body: dict[str, Any], request: Request, settings: AnthropicApiSettings, abilities: Abilities | None
) -> None:
    """Let the model think, where it may: not when it is made to call a tool.

    What a client says in the API's own words (``request.extra["anthropic_thinking"]``) is passed on, as far
    as the model takes it.
    """
    own = request.extra.get("anthropic_thinking")
    forced = body.get("tool_choice", {}).get("type") in {"any", "tool"}
    can = abilities or _UNKNOWN
    if forced or request.effort == "none" or (own and own["type"] == "disabled" and request.effort is None):
        _off(body, request, abilities, asked=not forced)
    elif own is not None and not own and (request.effort is None or abilities is not None):
        _effort(body, request, can)  # nothing is said of thinking, as the client said nothing
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
    """Tell whether ``body`` asks the model to think."""
    return body.get("thinking", {}).get("type") in {"enabled", "adaptive"}


def _off(body: dict[str, Any], request: Request, abilities: Abilities | None, *, asked: bool) -> None:
    """Say that there shall be no thinking, or the nearest that there is; name what is not quite that."""
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
    """Ask for thinking of the kind that is wanted, or else of the one that the model has."""
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
        case kind, _:
            body["thinking"] = wanted
            if kind == "adaptive":
                _effort(body, request, abilities)


def _effort(body: dict[str, Any], request: Request, abilities: Abilities) -> None:
    if request.effort is None or not abilities.efforts:
        return

    wanted = "low" if request.effort == "minimal" else request.effort
    lower = [level for level in abilities.efforts if _LEVELS.index(level) <= _LEVELS.index(wanted)]
    body["output_config"] = {"effort": lower[-1]}


def _budget(body: dict[str, Any], request: Request) -> None:
    """Set a budget within the limit of the answer; without a limit of the client's, on top of ours.

    In the middle of a tool's use the API wants the thoughts before the call, signed.
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
    """Tell whether the newest answer begins with a thought that can be handed back."""
    parts = next((message.parts for message in reversed(messages) if message.role == "assistant"), [])
    return bool(parts) and isinstance(parts[0], Reasoning) and bool(parts[0].signature)
