"""Per-request settings: what a request asks of the model beyond its words, as the CLI takes it. Pure.

The CLI merges settings, so every one is always sent, those that are not wanted as its word for the default.
Thinking is switched off where the API demands it: with a forced tool, and with a limit that thinking alone
would use up. Sampling parameters go along only then, since the API takes none together with thinking.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import ModelInfo, Request, ToolChoice
from claude_max_proxy.backends.claude_cli.tools import definitions, names_of
from claude_max_proxy.messages_api import ToolNames


# A thinking budget has at least this many tokens, and the answer comes after it.
SMALLEST_THINKING_LIMIT = 1024
_LEVELS = ("low", "medium", "high", "xhigh", "max")
_CHOICES = {"none": "none", "required": "any", "named": "tool"}


class Tuning(msgspec.Struct, frozen=True):
    """What one request asks; the defaults ask nothing."""

    effort: str | None = None
    thinking: bool = True
    max_tokens: int | None = None
    body: dict[str, Any] = msgspec.field(default_factory=dict)

    def may_follow(self, before: Tuning) -> bool:
        """Tell whether it can take over in the middle of a turn: newer CLIs fix these when a turn begins.

        A limit can be changed there, but not be taken away.
        """
        limited = self.max_tokens is not None or before.max_tokens is None
        return limited and self.effort == before.effort and self.thinking == before.thinking

    def settings(self, before: Tuning | None = None) -> dict[str, Any]:
        """Write it for ``apply_flag_settings``; ``before`` is what a turn that runs began with."""
        body = dict(self.body)
        if before is not None and self.max_tokens is not None and self.max_tokens != before.max_tokens:
            body["max_tokens"] = self.max_tokens
        environment = {
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "" if self.max_tokens is None else str(self.max_tokens),
            "CLAUDE_CODE_DISABLE_THINKING": "" if self.thinking else "1",
            "CLAUDE_CODE_EXTRA_BODY": msgspec.json.encode(body).decode() if body else "",
        }
        return {"effortLevel": self.effort, "env": environment}


def tune(request: Request, info: ModelInfo) -> Tuning:
    """Read what ``request`` asks of a model like ``info``; what cannot be done is noted as ignored."""
    forced = bool(request.tools) and request.tool_choice.mode in {"required", "named"}
    small = request.max_tokens is not None and request.max_tokens <= SMALLEST_THINKING_LIMIT
    thinking = not (forced or small or request.effort == "none" or _unasked(request))
    body: dict[str, Any] = {}
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.agent is None and (request.tools or request.response_schema is not None):
        body["tools"] = definitions(request, names_of(request))
    if request.tools:
        body.update(_tool_choice(request.tool_choice, names_of(request)))
    body.update(_sampling(request, thinking=thinking))
    return Tuning(_effort(request, info), thinking, request.max_tokens, body)


def _unasked(request: Request) -> bool:
    """Tell whether the client speaks of thinking as the Messages API does, and neither it nor we want any."""
    own = request.extra.get("anthropic_thinking")
    return own is not None and own["type"] == "disabled" and request.effort is None


def _effort(request: Request, info: ModelInfo) -> str | None:
    if request.effort is None or request.effort == "none":
        return None
    if info.reasoning is False or (info.reasoning is not None and not info.efforts):
        request.ignore("reasoning_effort")
        return None

    wanted = "low" if request.effort == "minimal" else request.effort
    allowed = [level for level in _LEVELS if level in info.efforts] or list(_LEVELS)
    lower = [level for level in allowed if _LEVELS.index(level) <= _LEVELS.index(wanted)]
    return lower[-1] if lower else allowed[0]


def _tool_choice(choice: ToolChoice, names: ToolNames) -> dict[str, Any]:
    written: dict[str, Any] = {"type": _CHOICES.get(choice.mode, "auto")}
    if choice.mode == "named":
        written["name"] = names.upstream(choice.name)
    if not choice.parallel and choice.mode != "none":
        written["disable_parallel_tool_use"] = True
    return {"tool_choice": written} if written != {"type": "auto"} else {}


def _sampling(request: Request, *, thinking: bool) -> dict[str, Any]:
    given = {
        name: value
        for name, value in (("temperature", request.temperature), ("top_p", request.top_p))
        if value is not None and value != 1  # 1 is the upstream's own default
    }
    if thinking:
        for name in given:
            request.ignore(name)
        return {}
    if len(given) == 2:  # the API takes one of them
        request.ignore("top_p")
        del given["top_p"]
    if given.get("temperature", 0) > 1:  # the API's range ends at its default
        request.ignore("temperature")
        del given["temperature"]
    return given
