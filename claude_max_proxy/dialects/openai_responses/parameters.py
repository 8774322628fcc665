"""Reads the parameters of a response: each is honoured, refused with a reason, or named as ignored.

A parameter is refused if the answer would have another meaning without it; otherwise it is ignored.
"""

from __future__ import annotations

from typing import Any

from claude_max_proxy import Request, ResponseFormat, ToolChoice, formats
from claude_max_proxy.capabilities import carry_parameters
from claude_max_proxy.dialects.openai_responses.schemas import (
    JsonObject,
    JsonSchema,
    ResponseRequest,
)
from claude_max_proxy.dialects.openai_responses.schemas import ToolChoice as WireChoice
from claude_max_proxy.dialects.openai_responses.tools import Origins, flat_name, read_tools


# Parameters that are not supported, and what to tell the client.
REFUSED = {
    "background": "an answer comes while the client waits; leave it out, and stream",
    "conversation": "conversations are not kept here; send the history, or previous_response_id",
    "prompt": "stored prompts live with OpenAI; send instructions and input",
    "top_logprobs": "answers come without token probabilities",
}
# Hints and bookkeeping, which have no effect on what the answer means.
IGNORED = ("context_management", "max_tool_calls", "moderation")
# These are passed on to backends that honour them. ``store`` is not: this dialect does what it asks for.
CARRIED = (
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "user",
)
_LOGPROBS = "message.output_text.logprobs"


def apply_parameters(asked: ResponseRequest, request: Request) -> Origins:
    """Set every parameter of ``asked`` in ``request``, or refuse it, or name it as ignored.

    Returns how the client knows each tool, by the name of the function that stands for it. Raises
    :class:`InvalidRequest` for a parameter that is refused.
    """
    _refuse(asked)
    _ignore(asked, request)
    request.max_tokens = asked.max_output_tokens
    request.temperature, request.top_p = asked.temperature, asked.top_p
    request.effort = asked.reasoning.effort if asked.reasoning else None
    origins = read_tools(asked.tools or [], request)
    request.tool_choice = _tool_choice(asked, request, origins)
    _read_format(asked, request)
    carry_parameters(request, {name: getattr(asked, name) for name in CARRIED})
    if asked.text:
        carry_parameters(request, {"verbosity": asked.text.verbosity})
    return origins


def _refuse(asked: ResponseRequest) -> None:
    for name, reason in REFUSED.items():
        if getattr(asked, name):
            raise formats.unsupported(name, reason)
    if _LOGPROBS in (asked.include or []):
        path = f"include[{(asked.include or []).index(_LOGPROBS)}]"
        raise formats.unsupported(path, REFUSED["top_logprobs"])


def _ignore(asked: ResponseRequest, request: Request) -> None:
    for name in IGNORED:
        if getattr(asked, name):
            request.ignore(name)
    if asked.truncation == "auto":
        request.ignore("truncation")


def _tool_choice(asked: ResponseRequest, request: Request, origins: Origins) -> ToolChoice:
    parallel = asked.parallel_tool_calls is not False
    match asked.tool_choice:
        case None | "auto":
            return ToolChoice("auto", parallel=parallel)
        case "none":
            return ToolChoice("none", parallel=parallel)
        case "required":
            return formats.require_tool(request.tools, "tool_choice", parallel=parallel)
        case WireChoice(type="function" | "custom") as choice:
            return ToolChoice("named", _known(choice.name, origins, "tool_choice"), parallel)
        case WireChoice(type="allowed_tools") as choice:
            return _allowed(choice, request, origins, parallel)
        case choice:
            raise formats.unsupported(
                "tool_choice.type", f"there is no tool of type {formats.shown(choice.type)} here"
            )


def _allowed(choice: WireChoice, request: Request, origins: Origins, parallel: bool) -> ToolChoice:
    """Remove all tools but the allowed ones from ``request``, and return the choice among them."""
    names = {
        _known(tool.get("name"), origins, f"tool_choice.tools[{index}].name", tool.get("namespace"))
        for index, tool in enumerate(choice.tools or [])
    }
    return formats.allow_tools(request, names, choice.mode, "tool_choice", parallel=parallel)


def _known(name: Any, origins: Origins, path: str, namespace: Any = None) -> str:
    flat = flat_name(str(name), namespace if isinstance(namespace, str) else None)
    return formats.known_tool(flat, origins, path, name)


def _read_format(asked: ResponseRequest, request: Request) -> None:
    match asked.text.format if asked.text else None:
        case JsonObject():
            request.response_schema = formats.ANY_OBJECT
        case JsonSchema() as given:
            path = "text.format.schema"
            request.response_schema = formats.checked_schema(given.schema, path)
            about = (given.name or "", given.description or "", given.strict)
            request.response_format = ResponseFormat(*about, path)
        case _:
            pass
