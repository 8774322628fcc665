"""The parameters of a chat completion: honoured, carried along for backends that honour them, or refused.

Refused is what no answer can carry, whoever gives it, and what would change its meaning if it were dropped.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import InvalidRequest, Request, Tool, ToolChoice, carry_parameters, wire
from claude_max_proxy.dialects.openai_chat.schemas import (
    ChatCompletionRequest,
    CustomTool,
    FunctionDefinition,
    FunctionName,
    FunctionTool,
    JsonObjectFormat,
    JsonSchemaFormat,
    NamedToolChoice,
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
    request.tool_choice = _tool_choice(chat, {tool.name for tool in request.tools})
    request.response_schema = _response_schema(chat)


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
                tools.append(_tool(tool.function))
            case CustomTool():
                path = f"tools[{index}].type"
                raise InvalidRequest(
                    f"{path}: only tools of type 'function' can be called",
                    param=path,
                    code="unsupported_parameter",
                )
    tools += [_tool(function) for function in chat.functions or []]
    wire.refuse_duplicates(tools, "tools" if chat.tools else "functions")
    return tools


def _tool(function: FunctionDefinition) -> Tool:
    return Tool(function.name, function.description or "", function.parameters or {}, bool(function.strict))


def _tool_choice(chat: ChatCompletionRequest, names: set[str]) -> ToolChoice:
    # The first form of tools can say one call at a time.
    parallel = chat.parallel_tool_calls is not False and not chat.functions
    choice = chat.tool_choice or chat.function_call
    path = "tool_choice" if chat.tool_choice else "function_call"
    match choice:
        case None | "auto":
            return ToolChoice("auto", parallel=parallel)
        case "none":
            return ToolChoice("none", parallel=parallel)
        case "required":
            _need_tools(names, path)
            return ToolChoice("required", parallel=parallel)
        case NamedToolChoice(function=FunctionName(name=name)) | FunctionName(name=name):
            if name not in names:
                raise InvalidRequest(f"{path}: there is no tool named {name!r}", param=path)
            return ToolChoice("named", name, parallel)
        case _:  # unreachable: the schema admits nothing else
            raise InvalidRequest(f"{path} is not understood", param=path)


def _need_tools(names: set[str], path: str) -> None:
    if not names:
        raise InvalidRequest(f"{path}: a tool is required, but there are no tools", param=path)


def _response_schema(chat: ChatCompletionRequest) -> dict[str, Any] | None:
    match chat.response_format:
        case JsonObjectFormat():
            return wire.ANY_OBJECT
        case JsonSchemaFormat(json_schema=schema):
            if schema.schema is None:
                path = "response_format.json_schema.schema"
                raise InvalidRequest(f"{path} is missing", param=path)
            return schema.schema
        case _:
            return None
