"""The parameters of a chat completion: honoured, carried along for backends that honour them, or refused.

Refused is what no answer can carry, whoever gives it, and what would change its meaning if it were dropped.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import InvalidRequest, Request, Tool, ToolChoice, carry_parameters
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
ANY_OBJECT = {"type": "object", "additionalProperties": True}


def apply_parameters(wire: ChatCompletionRequest, request: Request) -> None:
    """Carry every parameter of ``wire`` over to ``request``, or refuse it."""
    _refuse(wire)
    carry_parameters(request, msgspec.structs.asdict(wire))
    request.max_tokens = wire.max_completion_tokens or wire.max_tokens
    request.stop = _stop(wire.stop)
    request.temperature, request.top_p = wire.temperature, wire.top_p
    request.effort = wire.reasoning_effort
    request.tools = _tools(wire)
    request.tool_choice = _tool_choice(wire, {tool.name for tool in request.tools})
    request.response_schema = _response_schema(wire)


def _refuse(wire: ChatCompletionRequest) -> None:
    for name, reason in REFUSED.items():
        if getattr(wire, name):
            raise _unsupported(name, reason)
    if wire.n is not None and wire.n > 1:
        raise _unsupported("n", "one answer per request; ask again for another")
    if wire.modalities and set(wire.modalities) != {"text"}:
        raise _unsupported("modalities", "answers are text")


def _unsupported(name: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{name} is not supported: {reason}", param=name, code="unsupported_parameter")


def _stop(stop: str | list[str] | None) -> list[str]:
    if stop is None:
        return []

    return [stop] if isinstance(stop, str) else stop


def _tools(wire: ChatCompletionRequest) -> list[Tool]:
    tools = []
    for index, tool in enumerate(wire.tools or []):
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
    tools += [_tool(function) for function in wire.functions or []]
    _refuse_duplicates(tools, "tools" if wire.tools else "functions")
    return tools


def _tool(function: FunctionDefinition) -> Tool:
    return Tool(function.name, function.description or "", function.parameters or {}, bool(function.strict))


def _refuse_duplicates(tools: list[Tool], path: str) -> None:
    seen = set()
    for index, tool in enumerate(tools):
        if tool.name in seen:
            raise InvalidRequest(
                f"{path}[{index}]: there are two tools named {tool.name!r}", param=f"{path}[{index}]"
            )
        seen.add(tool.name)


def _tool_choice(wire: ChatCompletionRequest, names: set[str]) -> ToolChoice:
    # The first form of tools can say one call at a time.
    parallel = wire.parallel_tool_calls is not False and not wire.functions
    choice = wire.tool_choice or wire.function_call
    path = "tool_choice" if wire.tool_choice else "function_call"
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


def _response_schema(wire: ChatCompletionRequest) -> dict[str, Any] | None:
    match wire.response_format:
        case JsonObjectFormat():
            return ANY_OBJECT
        case JsonSchemaFormat(json_schema=schema):
            if schema.schema is None:
                path = "response_format.json_schema.schema"
                raise InvalidRequest(f"{path} is missing", param=path)
            return schema.schema
        case _:
            return None
