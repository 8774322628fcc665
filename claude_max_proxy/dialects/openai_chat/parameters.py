"""The parameters of a chat completion: honoured, refused with a reason, or named as ignored.

Refused is what would change the answer's meaning if it were dropped; ignored is what would not.
"""

from __future__ import annotations

from typing import Any

from claude_max_proxy import InvalidRequest, Request, Tool, ToolChoice, wire
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


# What the Messages API has no counterpart for, and what to say about it.
REFUSED = {
    "audio": "Claude models give no audio",
    "logit_bias": "the upstream takes no token biases",
    "logprobs": "the upstream gives no token probabilities",
    "top_logprobs": "the upstream gives no token probabilities",
    "web_search_options": "searching the web is not part of this model",
}
# Hints and bookkeeping: without effect on what the answer means.
IGNORED = ("frequency_penalty", "prediction", "presence_penalty", "seed", "verbosity")


def apply_parameters(chat: ChatCompletionRequest, request: Request) -> None:
    """Carry every parameter of ``chat`` over to ``request``, or refuse it, or name it as ignored."""
    _refuse(chat)
    for name in IGNORED:
        if getattr(chat, name):
            request.ignore(name)
    request.max_tokens = chat.max_completion_tokens or chat.max_tokens
    request.stop = _stop(chat.stop)
    request.temperature, request.top_p = chat.temperature, chat.top_p
    request.effort = chat.reasoning_effort
    request.tools = _tools(chat)
    request.tool_choice = _tool_choice(chat, {tool.name for tool in request.tools})
    request.response_schema = _response_schema(chat)
    if chat.user:
        request.extra["user"] = chat.user
    if chat.prompt_cache_key:
        request.extra["prompt_cache_key"] = chat.prompt_cache_key


def _refuse(chat: ChatCompletionRequest) -> None:
    for name, reason in REFUSED.items():
        if getattr(chat, name):
            raise wire.unsupported(name, reason)
    if chat.n is not None and chat.n > 1:
        raise wire.unsupported("n", "one answer per request; ask again for another")
    if chat.modalities and set(chat.modalities) != {"text"}:
        raise wire.unsupported("modalities", "answers are text")


def _stop(stop: str | list[str] | None) -> list[str]:
    if stop is None:
        return []

    return [stop] if isinstance(stop, str) else stop


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
