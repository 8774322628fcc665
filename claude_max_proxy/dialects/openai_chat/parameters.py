"""The parameters of a chat completion: honoured, carried along for backends that honour them, or refused.

Refused is what no answer can carry, whoever gives it, and what would change its meaning if it were dropped.
"""

from __future__ import annotations

import msgspec

from claude_max_proxy import InvalidRequest, Request, ResponseFormat, Tool, ToolChoice, carry_parameters, wire
from claude_max_proxy.dialects.openai_chat.schemas import (
    AllowedTools,
    ChatCompletionRequest,
    CustomTool,
    FunctionDefinition,
    FunctionName,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    ToolChoiceObject,
)


# What the events of an answer have no place for, and what to say about it.
REFUSED = {
    "audio": "answers are text",
    "logprobs": "answers come without token probabilities",
    "top_logprobs": "answers come without token probabilities",
}


def apply_parameters(chat: ChatCompletionRequest, request: Request) -> None:
    """Carry every parameter of ``chat`` over to ``request``, or refuse it."""
    _refuse(chat)
    carry_parameters(request, msgspec.structs.asdict(chat))
    request.max_tokens = chat.max_completion_tokens or chat.max_tokens
    request.stop = wire.read_stops(chat.stop, "stop", request)
    request.temperature, request.top_p = chat.temperature, chat.top_p
    request.effort = chat.reasoning_effort
    request.tools = _tools(chat)
    request.tool_choice = _tool_choice(chat, request)
    _read_response_format(chat, request)


def _refuse(chat: ChatCompletionRequest) -> None:
    for name, reason in REFUSED.items():
        if getattr(chat, name):
            raise wire.unsupported(name, reason)
    if chat.n is not None and chat.n > 1:
        raise wire.unsupported("n", "one answer per request; ask again for another")
    if chat.modalities and set(chat.modalities) != {"text"}:
        raise wire.unsupported("modalities", "answers are text")


def _tools(chat: ChatCompletionRequest) -> list[Tool]:
    tools = []
    for index, tool in enumerate(chat.tools or []):
        match tool:
            case FunctionTool():
                tools.append(_tool(tool.function, f"tools[{index}]"))
            case CustomTool():
                path = f"tools[{index}].type"
                raise InvalidRequest(
                    f"{path}: only tools of type 'function' can be called",
                    param=path,
                    code="unsupported_parameter",
                )
    for index, function in enumerate(chat.functions or []):
        tools.append(_tool(function, f"functions[{index}]"))
    wire.refuse_duplicates(tools, "tools" if chat.tools else "functions")
    return tools


def _tool(function: FunctionDefinition, path: str) -> Tool:
    return Tool(function.name, function.description, function.parameters, function.strict, path=path)


def _tool_choice(chat: ChatCompletionRequest, request: Request) -> ToolChoice:
    # The first form of tools can say one call at a time.
    parallel = chat.parallel_tool_calls is not False and not chat.functions
    choice = chat.tool_choice or chat.function_call
    path = "tool_choice" if chat.tool_choice else "function_call"
    names = {tool.name for tool in request.tools}
    match choice:
        case None | "auto":
            return ToolChoice("auto", parallel=parallel)
        case "none":
            return ToolChoice("none", parallel=parallel)
        case "required":
            return wire.require_tool(request, path, parallel=parallel)
        case FunctionName(name=name) | ToolChoiceObject(type="function", function=FunctionName(name=name)):
            return ToolChoice("named", wire.known_tool(name, names, path), parallel)
        case ToolChoiceObject(type="allowed_tools", allowed_tools=AllowedTools() as allowed):
            return _allowed(allowed, request, names, parallel=parallel)
        case ToolChoiceObject(type=kind):
            raise InvalidRequest(f"{path}.{kind} is missing", param=f"{path}.{kind}")
        case _:  # unreachable: the schema admits nothing else
            raise InvalidRequest(f"{path} is not understood", param=path)


def _allowed(allowed: AllowedTools, request: Request, names: set[str], *, parallel: bool) -> ToolChoice:
    """Leave only the tools that are allowed."""
    path = "tool_choice.allowed_tools"
    named = {
        wire.known_tool(tool.function.name, names, f"{path}.tools[{index}].function.name")
        for index, tool in enumerate(allowed.tools)
    }
    return wire.allow_tools(request, named, allowed.mode, path, parallel=parallel)


def _read_response_format(chat: ChatCompletionRequest, request: Request) -> None:
    match chat.response_format:
        case JsonObjectFormat():
            request.response_schema = wire.ANY_OBJECT
        case JsonSchemaFormat(json_schema=given):
            path = "response_format.json_schema.schema"
            if given.schema is None:
                raise InvalidRequest(f"{path} is missing", param=path)
            request.response_schema = wire.checked_schema(given.schema, path)
            about = (given.name or "", given.description or "", given.strict)
            request.response_format = ResponseFormat(*about, path)
        case _:
            pass
