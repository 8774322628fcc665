"""Per-request settings: what a request asks of the model beyond its words, as the CLI takes it. Pure.

The CLI merges settings, so every one is always sent, those that are not wanted as its word for the default.
Thinking is switched off where the API demands it: with a forced tool, and with a limit that thinking alone
would use up. Sampling parameters go along only then, since the API takes none together with thinking. What a
model takes of all this is in :mod:`claude_max_proxy.messages_api.abilities`, and what it was seen to refuse
in :mod:`claude_max_proxy.refusals`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from claude_max_proxy import BeyondModel, ModelInfo, Request, ToolChoice, refusals
from claude_max_proxy.backends.claude_cli.exactness import inexact
from claude_max_proxy.backends.claude_cli.fence import NO_FENCE
from claude_max_proxy.backends.claude_cli.tools import definitions, names_of
from claude_max_proxy.messages_api import Abilities, Block, ToolNames


# A thinking budget has at least this many tokens, and the answer comes after it.
SMALLEST_THINKING_LIMIT = 1024
_LEVELS = ("low", "medium", "high", "xhigh", "max")
_CHOICES = {"none": "none", "required": "any", "named": "tool"}
_NOTHING: frozenset[str] = frozenset()


class Tuning(msgspec.Struct, frozen=True):
    """What one request asks; the defaults ask nothing.

    ``thinking`` says whether the CLI configures thinking as it does by itself; without, what the body says of
    it is all that the API hears.
    """

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

    @property
    def sent(self) -> dict[str, Any]:
        """What of the API's body is there because of it."""
        effort = {} if self.effort is None else {"output_config": {"effort": self.effort}}
        return {**self.body, **effort}

    def settings(self, before: Tuning | None = None) -> dict[str, Any]:
        """Write it for ``apply_flag_settings``; ``before`` is what a turn that runs began with."""
        body = dict(self.body)
        if before is not None and self.max_tokens is not None and self.max_tokens != before.max_tokens:
            body["max_tokens"] = self.max_tokens
        environment = {
            "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "" if self.max_tokens is None else str(self.max_tokens),
            "CLAUDE_CODE_DISABLE_THINKING": "" if self.thinking else "1",
            "CLAUDE_CODE_EXTRA_BODY": msgspec.json.encode(body).decode() if body else "",
            **NO_FENCE,
        }
        return {"effortLevel": self.effort, "env": environment}


def tune(
    request: Request, info: ModelInfo, abilities: Abilities, refused: Collection[str] = _NOTHING
) -> Tuning:
    """Read what ``request`` asks of a model with these ``abilities``; the rest is noted as ignored.

    ``refused`` are the parameters that the model was seen to refuse. Raises :class:`BeyondModel` where
    leaving one out would change the meaning.
    """
    forced = bool(request.tools) and request.tool_choice.mode in {"required", "named"}
    if forced and not abilities.forced:
        raise _cannot_be_forced(info)

    small = request.max_tokens is not None and request.max_tokens <= SMALLEST_THINKING_LIMIT
    off = forced or small or _asked_off(request)
    thinking = not (off or _unasked(request) or abilities.thinking == "none")
    body: dict[str, Any] = {}
    names = names_of(request)
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.agent is None and (request.tools or request.response_schema is not None):
        body["tools"] = definitions(request, names)
        if _drop_marks(body["tools"]):
            request.ignore("tools.cache_control")
    if request.tools:
        body.update(_tool_choice(request.tool_choice, names))
    if off and abilities.thinking != "none":
        body.update(_thinking_off(request, abilities))
    body.update(_sampling(request, abilities, thinking=thinking))
    effort = _within(_effort(request, info), abilities, off=off)
    refusals.tell(request, [*_leave_out(body, effort, refused), *inexact(request)])
    return Tuning(None if "effort" in refused else effort, thinking, request.max_tokens, body)


def _leave_out(body: dict[str, Any], effort: str | None, refused: Collection[str]) -> list[str]:
    """Take what is refused out of ``body``; give its names."""
    effort_refused = effort is not None and "effort" in refused
    return refusals.strip(body, refused) + (["effort"] if effort_refused else [])


def _drop_marks(tools: list[Block]) -> bool:
    """Leave one mark for the prompt cache, the last; say whether there were more.

    The API takes four in a request, and the CLI sets three.
    """
    marked = [tool for tool in tools if "cache_control" in tool]
    for tool in marked[:-1]:
        del tool["cache_control"]
    return len(marked) > 1


def _cannot_be_forced(info: ModelInfo) -> BeyondModel:
    return BeyondModel(
        f"tool_choice: {info.name or 'this model'} cannot be made to call a tool, as it always thinks; leave "
        'tool_choice at "auto" and ask for the call in the instructions, or choose another model',
        param="tool_choice",
    )


# --- thinking


def _asked_off(request: Request) -> bool:
    """Tell whether the client says that there shall be no thinking."""
    own = request.extra.get("anthropic_thinking") or {}
    return request.effort == "none" or (own.get("type") == "disabled" and request.effort is None)


def _unasked(request: Request) -> bool:
    """Tell whether the client speaks the Messages API, and neither it nor we say anything of thinking."""
    return request.extra.get("anthropic_thinking") == {} and request.effort is None


def _thinking_off(request: Request, abilities: Abilities) -> dict[str, Any]:
    """Say that there shall be no thinking, or the nearest that the model takes."""
    if abilities.off != "disabled" and _asked_off(request):
        refusals.tell(request, ["thinking"])
    return {"thinking": {"type": abilities.off}} if abilities.off else {}


def _effort(request: Request, info: ModelInfo) -> str | None:
    if request.effort is None or request.effort == "none":
        return None
    if info.reasoning is False or (info.reasoning is not None and not info.efforts):
        request.ignore("reasoning_effort")
        return None

    wanted = "low" if request.effort == "minimal" else request.effort
    return _nearest(wanted, [level for level in _LEVELS if level in info.efforts] or list(_LEVELS))


def _within(effort: str | None, abilities: Abilities, *, off: bool) -> str | None:
    """Keep to the levels at which thinking can be off; a model that always thinks shall think little then."""
    if not off or not abilities.efforts:
        return effort
    if not abilities.off:
        return effort or "low"
    return effort and _nearest(effort, [level for level in _LEVELS if level in abilities.off_efforts])


def _nearest(wanted: str, allowed: list[str]) -> str:
    """Return the level of ``allowed`` that is the nearest one below, or else the lowest."""
    lower = [level for level in allowed if _LEVELS.index(level) <= _LEVELS.index(wanted)]
    return lower[-1] if lower else allowed[0]


# --- the body


def _tool_choice(choice: ToolChoice, names: ToolNames) -> dict[str, Any]:
    written: dict[str, Any] = {"type": _CHOICES.get(choice.mode, "auto")}
    if choice.mode == "named":
        written["name"] = names.upstream(choice.name)
    if not choice.parallel and choice.mode != "none":
        written["disable_parallel_tool_use"] = True
    return {"tool_choice": written} if written != {"type": "auto"} else {}


def _sampling(request: Request, abilities: Abilities, *, thinking: bool) -> dict[str, Any]:
    """Return the sampling that the model takes; the rest is named as ignored."""
    given: dict[str, Any] = {
        name: value
        for name, value in (("temperature", request.temperature), ("top_p", request.top_p))
        if value is not None and value != 1  # 1 is the upstream's own default, and where its range ends
    }
    taken = {name: value for name, value in given.items() if value < 1}
    if "top_k" in request.extra:
        given["top_k"] = taken["top_k"] = request.extra["top_k"]
    if thinking or abilities.sampling == "none":
        taken = {}
    elif abilities.sampling == "one":
        taken.pop("top_p", None)  # without thinking, the CLI itself sends a temperature of 1 to these models
    for name in given:
        if name not in taken:
            request.ignore(name)
    return taken
