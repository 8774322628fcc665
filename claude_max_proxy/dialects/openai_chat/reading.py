"""Reads a chat completion request into a :class:`Request`. Pure: bytes in, values out.

Instructions (roles ``system`` and ``developer``), wherever they stand, become ``Request.system`` in order,
joined by an empty line, since the upstream knows one system prompt. Tool results become parts of a user
message, as the Messages API has it.
"""

from __future__ import annotations

import re

import msgspec

from claude_max_proxy import (
    Client,
    InvalidRequest,
    Message,
    Part,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
    carry_content,
    wire,
)
from claude_max_proxy.dialects.openai_chat.content import read_parts, read_text
from claude_max_proxy.dialects.openai_chat.parameters import apply_parameters
from claude_max_proxy.dialects.openai_chat.schemas import (
    AssistantMessage,
    ChatCompletionRequest,
    ChatMessage,
    DeveloperMessage,
    FunctionMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)


_decoder = msgspec.json.Decoder(ChatCompletionRequest)


def read(body: bytes) -> tuple[Request, ChatCompletionRequest]:
    """Read a body; give the request, and the wire's own form for the writer.

    Raises :class:`InvalidRequest` with the path of the first field that is wrong.
    """
    unknown: list[str] = []
    chat = wire.decode(_decoder, body, unknown)
    client = Client(session=chat.prompt_cache_key or "")
    request = Request(chat.model, stream=bool(chat.stream), client=client, ignored=unknown)
    systems: list[str] = []
    for index, message in enumerate(chat.messages):
        _message(message, f"messages[{index}]", request, systems)
    request.system = "\n\n".join(systems)
    apply_parameters(chat, request)
    return request, chat


def _message(message: ChatMessage, path: str, request: Request, systems: list[str]) -> None:
    if getattr(message, "name", None) and not isinstance(message, FunctionMessage):
        request.ignore("messages.name")
    match message:
        case SystemMessage() | DeveloperMessage():
            role = "system" if isinstance(message, SystemMessage) else "developer"
            systems.extend(read_text(message.content, f"{path}.content", role))
        case UserMessage():
            parts = read_parts(message.content, f"{path}.content")
            carry_content(request, parts, f"{path}.content")
            request.messages.append(Message("user", parts))
        case AssistantMessage():
            request.messages.append(Message("assistant", _assistant(message, path)))
        case ToolMessage():
            parts = read_parts(message.content, f"{path}.content")
            carry_content(request, parts, f"{path}.content")
            result = wire.checked_result(parts, f"{path}.content")
            wire.add_result(ToolResult(message.tool_call_id, result), request.messages)
        case FunctionMessage():
            call = _newest_call(request, message.name, path)
            wire.add_result(ToolResult(call, (Text(message.content or ""),)), request.messages)


def _assistant(message: AssistantMessage, path: str) -> list[Part]:
    parts: list[Part] = []
    if message.reasoning_content:
        parts.append(Reasoning(message.reasoning_content))
    texts = read_text(message.content, f"{path}.content", "assistant")
    parts += [Text(text) for text in [*texts, message.refusal] if text]
    for index, call in enumerate(message.tool_calls or []):
        if not call.id:
            raise InvalidRequest(
                f"{path}.tool_calls[{index}].id is missing", param=f"{path}.tool_calls[{index}].id"
            )
        parts.append(ToolCall(call.id, call.function.name, call.function.arguments or "{}"))
    if message.function_call is not None:
        legacy = message.function_call
        parts.append(ToolCall(_legacy_id(path), legacy.name, legacy.arguments or "{}"))
    return parts


def _legacy_id(path: str) -> str:
    """Make an id for a call of the API's first form of tools, which has none."""
    return "call" + re.sub(r"\W", "", path)


def _newest_call(request: Request, name: str, path: str) -> str:
    for message in reversed(request.messages):
        for part in message.parts:
            if isinstance(part, ToolCall) and part.name == name:
                return part.id

    raise InvalidRequest(
        f"{path}: no function call of {name!r} stands before its result", param=f"{path}.name"
    )
