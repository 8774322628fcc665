"""Reads the parameters of a message: each is honoured, refused with a reason, or passed on to backends.

If thinking is not asked for, it is off, as in the API.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import (
    Client,
    Effort,
    InvalidRequest,
    Request,
    ResponseFormat,
    Tool,
    ToolChoice,
    formats,
)
from claude_max_proxy.capabilities import carry_parameters
from claude_max_proxy.dialects.anthropic_messages.content import FOUND_TOOLS
from claude_max_proxy.dialects.anthropic_messages.schemas import (
    AdaptiveThinking,
    AnyChoice,
    AutoChoice,
    CountRequest,
    EnabledThinking,
    MessagesRequest,
    NamedChoice,
    NoChoice,
    WireTool,
)


# The effort that a budget of up to so many thinking tokens stands for.
_EFFORTS: tuple[tuple[int, Effort], ...] = ((4_000, "low"), (12_000, "medium"), (24_000, "high"))
_LARGEST: Effort = "xhigh"
# The fields of a definition for which a Tool has its own fields; all others are passed on unchanged.
_TOOL_WORDS = frozenset({"name", "description", "input_schema", "strict"})
REFUSED = {
    "container": "code runs with the provider only",
    "mcp_servers": "the provider's own connections to MCP servers are not part of this; offer their tools",
    "thread": "conversations are not kept here under an id; send all messages",
}


def apply_input(body: CountRequest, request: Request) -> None:
    """Set in ``request`` what both routes have: tools, thinking, and the format of the answer."""
    for name, reason in REFUSED.items():
        if getattr(body, name):
            raise formats.unsupported(name, reason)
    request.extra |= {"context_management": body.context_management} if body.context_management else {}
    request.tools = _tools(body.tools or [], request)
    request.tool_choice = _tool_choice(body, request)
    _think(body, request)
    output = body.output_config
    if output is not None and output.effort is not None:
        request.effort = output.effort
    _read_format(body, request)


def apply_parameters(body: MessagesRequest, request: Request) -> None:
    """Set in ``request`` the parameters that only the route for answers has."""
    request.stream = bool(body.stream)
    request.max_tokens = body.max_tokens
    request.stop = formats.read_stops(body.stop_sequences, "stop_sequences", request)
    request.temperature, request.top_p = body.temperature, body.top_p
    given: dict[str, Any] = {"top_k": body.top_k, "anthropic_service_tier": body.service_tier}
    if body.metadata is not None and body.metadata.user_id:
        given["anthropic_metadata"] = {"user_id": body.metadata.user_id}
        request.client = Client(session=body.metadata.user_id)
    carry_parameters(request, given)


def _read_format(body: CountRequest, request: Request) -> None:
    output = body.output_config.format if body.output_config else None
    if form := body.output_format or output:
        path = "output_format.schema" if body.output_format else "output_config.format.schema"
        request.response_schema = formats.checked_schema(form.schema, path)
        request.response_format = ResponseFormat(path=path)


# --- tools


def _tools(given: list[dict[str, Any]], request: Request) -> list[Tool]:
    """Return the client's tools; Anthropic's own tools go into ``request.extra``, by their paths."""
    tools = []
    for index, fields in enumerate(given):
        path = f"tools[{index}]"
        tool = formats.convert(fields, WireTool, path)
        if tool.type not in {None, "custom"}:
            request.extra.setdefault("anthropic_tools", {})[path] = fields
            continue
        if tool.input_schema is None:
            raise InvalidRequest.missing(f"{path}.input_schema")
        further = {
            name: value for name, value in fields.items() if name not in _TOOL_WORDS and value is not None
        }
        if tool.name in request.state.get(FOUND_TOOLS, ()) and further.pop("defer_loading", None):
            request.ignore("tools.defer_loading")
        tools.append(Tool(tool.name, tool.description, tool.input_schema, tool.strict, further, path))
    formats.refuse_duplicates(tools)
    return tools


def _tool_choice(body: CountRequest, request: Request) -> ToolChoice:
    native = request.extra.get("anthropic_tools", {}).values()
    names = [*(tool.name for tool in request.tools), *(str(tool["name"]) for tool in native)]
    choice = body.tool_choice
    parallel = not getattr(choice, "disable_parallel_tool_use", False)
    match choice:
        case None | AutoChoice():
            return ToolChoice("auto", parallel=parallel)
        case NoChoice():
            return ToolChoice("none")
        case AnyChoice():
            return formats.require_tool(names, "tool_choice", parallel=parallel)
        case NamedChoice(name=name):
            return ToolChoice("named", formats.known_tool(name, names, "tool_choice.name"), parallel)


# --- thinking


def _think(body: CountRequest, request: Request) -> None:
    """Pass thinking on in the API's own form, and turn a budget into the effort that it stands for."""
    thinking = body.thinking
    request.extra["anthropic_thinking"] = msgspec.to_builtins(thinking) if thinking else {}
    if isinstance(thinking, EnabledThinking):
        budget = thinking.budget_tokens
        request.effort = next((effort for most, effort in _EFFORTS if budget <= most), _LARGEST)


def shown_thoughts(body: CountRequest) -> str:
    """Return what the client sees of the model's thoughts: "all", "signatures" or "none"."""
    match body.thinking:
        case EnabledThinking(display="omitted") | AdaptiveThinking(display="omitted"):
            return "signatures"
        case EnabledThinking() | AdaptiveThinking():
            return "all"
        case _:
            return "none"
