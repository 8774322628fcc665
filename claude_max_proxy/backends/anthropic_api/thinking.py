"""Whether and how long the model thinks, as the Messages API takes it. Pure."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import Message, Reasoning, Request, ToolResult
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings


_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 49_152}
_SMALLEST_BUDGET = 1024


def think(body: dict[str, Any], request: Request, settings: AnthropicApiSettings) -> None:
    """Let the model think, where it may: not when it is made to call a tool.

    What a client says in the API's own words (``request.extra["anthropic_thinking"]``) is passed on.
    """
    if body.get("tool_choice", {}).get("type") in {"any", "tool"}:
        return

    own = request.extra.get("anthropic_thinking")
    if own and own["type"] != "disabled" and request.effort != "none":
        body["thinking"] = own
        if request.effort is not None and own["type"] == "adaptive":
            _effort(body, request)
    elif own and request.effort is None:
        pass
    elif settings.thinking == "off" or request.effort == "none":
        if request.effort not in {None, "none"}:
            request.ignore("reasoning_effort")
    elif settings.thinking == "adaptive":
        body["thinking"] = {"type": "adaptive"}
        if request.effort is not None:
            _effort(body, request)
    else:
        _budget(body, request)


def _effort(body: dict[str, Any], request: Request) -> None:
    body["output_config"] = {"effort": "low" if request.effort == "minimal" else request.effort}


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
