"""Per-request settings: what a request asks of the model beyond its messages, in the CLI's form. Pure.

The CLI merges new settings into the old ones, so we always send all of them; a setting that is not wanted
gets the CLI's value for "default". Thinking is switched off where the API demands it: with a forced tool, and
with an output limit that thinking alone would use up. Sampling parameters are only sent when thinking is off,
since the API does not accept both. Which of these a model accepts is known by
:mod:`claude_max_proxy.anthropic_messages.abilities`, and what it was seen to refuse by
:mod:`claude_max_proxy.capabilities.refusals`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from claude_max_proxy import Request
from claude_max_proxy.anthropic_messages import Abilities, Block, unforced, write_tool_choice
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.backends.claude_cli.exactness import inexact
from claude_max_proxy.backends.claude_cli.fence import NO_FENCE
from claude_max_proxy.backends.claude_cli.tools import definitions, names_of
from claude_max_proxy.capabilities import refusals


# A thinking budget has at least this many tokens, and the answer comes after it.
SMALLEST_THINKING_LIMIT = 1024
_LEVELS = ("low", "medium", "high", "xhigh", "max")
_USUAL_CHOICE: Block = {"type": "auto"}
_NOTHING: frozenset[str] = frozenset()


class Tuning(msgspec.Struct, frozen=True):
    """What one request asks for; the defaults ask for nothing.

    ``thinking`` says whether the CLI configures thinking as it usually does; if not, the API only gets what
    ``body`` says about it. ``body`` are fields that are added to the body of the request to the API.
    """

    effort: str | None = None
    thinking: bool = True
    max_tokens: int | None = None
    body: dict[str, Any] = msgspec.field(default_factory=dict)

    def may_follow(self, before: Tuning) -> bool:
        """Return whether these settings can replace ``before`` in the middle of a turn.

        Newer CLIs read effort and thinking only when a turn begins. An output limit can be changed later, but
        not be removed.
        """
        limited = self.max_tokens is not None or before.max_tokens is None
        return limited and self.effort == before.effort and self.thinking == before.thinking

    @property
    def sent(self) -> dict[str, Any]:
        """The fields of the API's body that come from these settings."""
        effort = {} if self.effort is None else {"output_config": {"effort": self.effort}}
        return {**self.body, **effort}

    def settings(self, before: Tuning | None = None) -> dict[str, Any]:
        """Return the settings for ``apply_flag_settings``.

        ``before`` are the settings that the turn began with, if one is under way.
        """
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
    request: Request,
    info: ModelInfo,
    abilities: Abilities,
    refused: Collection[str] = _NOTHING,
    *,
    has_plan: bool = False,
) -> Tuning:
    """Return the settings for what ``request`` asks of a model with these ``abilities``.

    What the model does not accept is left out, and noted in the request as ignored. ``refused`` are the
    parameters that the model was seen to refuse. ``has_plan`` says that the CLI has a login with a plan.
    A tool call that the client insists on is left to a model that cannot be made to call.
    """
    wanted = request.tool_choice if abilities.forced or not request.tools else unforced(request)
    forced = bool(request.tools) and wanted.forces
    small = request.max_tokens is not None and request.max_tokens <= SMALLEST_THINKING_LIMIT
    off = forced or small or _asked_off(request)
    thinking = not (off or _unasked(request) or abilities.thinking == "none")
    body: dict[str, Any] = {}
    names = names_of(request)
    if request.stop:
        body["stop_sequences"] = request.stop
    if request.agent is None and (request.tools or request.response_schema is not None):
        body["tools"] = definitions(request, names)
        if _drop_marks(body["tools"], has_plan=has_plan):
            request.ignore("tools.cache_control")
    choice = write_tool_choice(wanted, names.upstream)
    if request.tools and choice != _USUAL_CHOICE:
        body["tool_choice"] = choice
    if off and abilities.thinking != "none":
        body.update(_thinking_off(request, abilities))
    body.update(_sampling(request, abilities, thinking=thinking))
    effort = _within(_effort(request, info), abilities, off=off)
    refusals.tell(request, [*_leave_out(body, effort, refused), *inexact(request)])
    return Tuning(None if "effort" in refused else effort, thinking, request.max_tokens, body)


def _leave_out(body: dict[str, Any], effort: str | None, refused: Collection[str]) -> list[str]:
    """Remove the refused parameters from ``body``, and return the names of those left out."""
    effort_refused = effort is not None and "effort" in refused
    return refusals.strip(body, refused) + (["effort"] if effort_refused else [])


def _drop_marks(tools: list[Block], *, has_plan: bool) -> bool:
    """Remove the marks for the prompt cache that the API would refuse; return whether there were any.

    The API allows four in a request, and the CLI sets three. With a plan, the CLI's are for an hour; none for
    a shorter time may come before them, and tools come first.
    """
    marked = [tool for tool in tools if tool.get("cache_control") is not None]
    dropped = marked[:-1]
    if has_plan and marked and not _lasts(marked[-1]["cache_control"]):
        dropped = marked
    for tool in dropped:
        del tool["cache_control"]
    return bool(dropped)


def _lasts(mark: object) -> bool:
    """Return whether a mark for the prompt cache is for an hour."""
    return isinstance(mark, dict) and mark.get("ttl") == "1h"


# --- thinking


def _asked_off(request: Request) -> bool:
    """Return whether the client asks for no thinking."""
    own = request.extra.get("anthropic_thinking") or {}
    return request.effort == "none" or (own.get("type") == "disabled" and request.effort is None)


def _unasked(request: Request) -> bool:
    """Return whether the client uses the Messages API, and nothing was said about thinking."""
    return request.extra.get("anthropic_thinking") == {} and request.effort is None


def _thinking_off(request: Request, abilities: Abilities) -> dict[str, Any]:
    """Return the field that switches thinking off, or the nearest to that which the model accepts."""
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
    """Return an effort at which thinking can be off, if it is to be ``off``.

    A model that always thinks is made to think little instead.
    """
    if not off or not abilities.efforts:
        return effort
    if not abilities.off:
        return effort or "low"
    return effort and _nearest(effort, [level for level in _LEVELS if level in abilities.off_efforts])


def _nearest(wanted: str, allowed: list[str]) -> str:
    """Return the highest level in ``allowed`` that is not above ``wanted``, or else the lowest."""
    lower = [level for level in allowed if _LEVELS.index(level) <= _LEVELS.index(wanted)]
    return lower[-1] if lower else allowed[0]


# --- the body


def _sampling(request: Request, abilities: Abilities, *, thinking: bool) -> dict[str, Any]:
    """Return the sampling parameters that the model accepts; note the others as ignored."""
    given: dict[str, Any] = {
        name: value
        for name, value in (("temperature", request.temperature), ("top_p", request.top_p))
        if value is not None and value != 1  # 1 is the upstream's default, and the end of its range
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
