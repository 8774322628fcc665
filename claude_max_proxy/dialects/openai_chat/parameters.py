"""Reads the parameters of a chat completion: each is honoured, passed on to backends, or refused.

A parameter is refused if no answer could contain what it asks for, or if the answer would have another
meaning without it.
"""

from __future__ import annotations

import msgspec

from claude_max_proxy import InvalidRequest, Request, ResponseFormat, Tool, ToolChoice, formats
from claude_max_proxy.capabilities import carry_parameters
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


# Parameters that ask for something which events cannot express, and what to tell the client.
REFUSED = {
    "audio": "answers are text",
    "logprobs": "answers come without token probabilities",
    "top_logprobs": "answers come without token probabilities",
}


def apply_parameters(chat: ChatCompletionRequest, request: Request) -> None:
    """Set every parameter of ``chat`` in ``request``, or raise :class:`InvalidRequest`."""
    _refuse(chat)
    carry_parameters(request, msgspec.structs.asdict(chat))
    request.max_tokens = chat.max_completion_tokens or chat.max_tokens
    request.stop = formats.read_stops(chat.stop, "stop", request)
    request.temperature, request.top_p = chat.temperature, chat.top_p
    request.effort = chat.reasoning_effort
    request.tools = _tools(chat)
    request.tool_choice = _tool_choice(chat, request)
    _read_response_format(chat, request)


def _refuse(chat: ChatCompletionRequest) -> None:
    for name, reason in REFUSED.items():
        if getattr(chat, name):
            raise formats.unsupported(name, reason)
    if chat.modalities and set(chat.modalities) != {"text"}:
        raise formats.unsupported("modalities", "answers are text")


def _tools(chat: ChatCompletionRequest) -> list[Tool]:
    tools = []
    for index, tool in enumerate(chat.tools or []):
        match tool:
            case FunctionTool():
                tools.append(_tool(tool.function, f"tools[{index}]"))
            case CustomTool():
                path = f"tools[{index}].type"
                raise InvalidRequest.at(
                    path, "only tools of type 'function' can be called", code="unsupported_parameter"
                )
    for index, function in enumerate(chat.functions or []):
        tools.append(_tool(function, f"functions[{index}]"))
    formats.refuse_duplicates(tools)
    return tools


def _tool(function: FunctionDefinition, path: str) -> Tool:
    return Tool(function.name, function.description, function.parameters, function.strict, path=path)


def _tool_choice(chat: ChatCompletionRequest, request: Request) -> ToolChoice:
    # The API's first form of tools allows only one call at a time.
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
            return formats.require_tool(request.tools, path, parallel=parallel)
        case FunctionName(name=name) | ToolChoiceObject(type="function", function=FunctionName(name=name)):
            return ToolChoice("named", formats.known_tool(name, names, path), parallel)
        case ToolChoiceObject(type="allowed_tools", allowed_tools=AllowedTools() as allowed):
            return _allowed(allowed, request, names, parallel=parallel)
        case ToolChoiceObject(type=kind):
            raise InvalidRequest.missing(f"{path}.{kind}")
        case _:  # unreachable: the schema admits nothing else
            raise InvalidRequest(f"{path} is not understood", param=path)


def _allowed(allowed: AllowedTools, request: Request, names: set[str], *, parallel: bool) -> ToolChoice:
    """Remove all tools but the allowed ones from ``request``, and return the choice among them."""
    path = "tool_choice.allowed_tools"
    named = {
        formats.known_tool(tool.function.name, names, f"{path}.tools[{index}].function.name")
        for index, tool in enumerate(allowed.tools)
    }
    return formats.allow_tools(request, named, allowed.mode, path, parallel=parallel)


def _read_response_format(chat: ChatCompletionRequest, request: Request) -> None:
    match chat.response_format:
        case JsonObjectFormat():
            request.response_schema = formats.ANY_OBJECT
        case JsonSchemaFormat(json_schema=given):
            path = "response_format.json_schema.schema"
            if given.schema is None:
                raise InvalidRequest.missing(path)
            request.response_schema = formats.checked_schema(given.schema, path)
            about = (given.name or "", given.description or "", given.strict)
            request.response_format = ResponseFormat(*about, path)
        case _:
            pass
