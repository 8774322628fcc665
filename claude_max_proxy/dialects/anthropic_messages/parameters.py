"""The parameters of a message: honoured, refused with a reason, or carried for backends that know them.

Thinking that is not asked for is off, as the API has it.
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
    carry_parameters,
    wire,
)
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


# What a budget of thinking tokens up to so many comes to.
_EFFORTS: tuple[tuple[int, Effort], ...] = ((4_000, "low"), (12_000, "medium"), (24_000, "high"))
_LARGEST: Effort = "xhigh"
# What a Tool has places of its own for; everything else that a client says of one is handed on as it is.
_TOOL_WORDS = frozenset({"name", "description", "input_schema", "strict"})
REFUSED = {
    "container": "code runs with the provider only",
    "mcp_servers": "the provider's own connections to MCP servers are not part of this; offer their tools",
    "thread": "conversations are not kept here under an id; send all messages",
}


def apply_input(body: CountRequest, request: Request) -> None:
    """Carry over what both routes know: tools, thinking, and the form of the answer."""
    for name, reason in REFUSED.items():
        if getattr(body, name):
            raise wire.unsupported(name, reason)
    request.extra |= {"context_management": body.context_management} if body.context_management else {}
    request.tools = _tools(body.tools or [], request)
    request.tool_choice = _tool_choice(body, request)
    _think(body, request)
    output = body.output_config
    if output is not None and output.effort is not None:
        request.effort = output.effort
    _read_format(body, request)


def apply_parameters(body: MessagesRequest, request: Request) -> None:
    """Carry over what only an answer has."""
    request.stream = bool(body.stream)
    request.max_tokens = body.max_tokens
    request.stop = wire.read_stops(body.stop_sequences, "stop_sequences", request)
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
        request.response_schema = wire.checked_schema(form.schema, path)
        request.response_format = ResponseFormat(path=path)


# --- tools


def _tools(given: list[dict[str, Any]], request: Request) -> list[Tool]:
    """Read the client's tools; Anthropic's own go into ``extra``, by their paths."""
    tools = []
    for index, fields in enumerate(given):
        path = f"tools[{index}]"
        tool = wire.convert(fields, WireTool, path)
        if tool.type not in {None, "custom"}:
            request.extra.setdefault("anthropic_tools", {})[path] = fields
            continue
        if tool.input_schema is None:
            raise InvalidRequest(f"{path}.input_schema is missing", param=f"{path}.input_schema")
        further = {
            name: value for name, value in fields.items() if name not in _TOOL_WORDS and value is not None
        }
        if tool.name in request.state.get(FOUND_TOOLS, ()) and further.pop("defer_loading", None):
            request.ignore("tools.defer_loading")
        tools.append(Tool(tool.name, tool.description, tool.input_schema, tool.strict, further, path))
    wire.refuse_duplicates(tools, "tools")
    return tools


def _tool_choice(body: CountRequest, request: Request) -> ToolChoice:
    names = {tool.name for tool in request.tools}
    offered = bool(names or request.extra.get("anthropic_tools"))
    choice = body.tool_choice
    parallel = not getattr(choice, "disable_parallel_tool_use", False)
    match choice:
        case None | AutoChoice():
            return ToolChoice("auto", parallel=parallel)
        case NoChoice():
            return ToolChoice("none")
        case AnyChoice():
            if not offered:
                raise InvalidRequest(
                    "tool_choice: a tool is required, but there are no tools", param="tool_choice"
                )
            return ToolChoice("required", parallel=parallel)
        case NamedChoice(name=name):
            native = request.extra.get("anthropic_tools", {}).values()
            if name not in names | {str(tool["name"]) for tool in native}:
                raise InvalidRequest(
                    f"tool_choice.name: there is no tool named {name!r}", param="tool_choice.name"
                )
            return ToolChoice("named", name, parallel)


# --- thinking


def _think(body: CountRequest, request: Request) -> None:
    """Carry thinking over in the API's own words, and a budget as the effort that it comes to."""
    thinking = body.thinking
    request.extra["anthropic_thinking"] = msgspec.to_builtins(thinking) if thinking else {}
    if isinstance(thinking, EnabledThinking):
        budget = thinking.budget_tokens
        request.effort = next((effort for most, effort in _EFFORTS if budget <= most), _LARGEST)


def shown_thoughts(body: CountRequest) -> str:
    """Say what is to be seen of the model's thoughts: "all", "signatures" or "none"."""
    match body.thinking:
        case EnabledThinking(display="omitted") | AdaptiveThinking(display="omitted"):
            return "signatures"
        case EnabledThinking() | AdaptiveThinking():
            return "all"
        case _:
            return "none"
