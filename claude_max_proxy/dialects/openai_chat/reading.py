"""Reads a chat completion request into a :class:`Request`. Pure.

All instructions (the roles ``system`` and ``developer``) become ``Request.system``, in their order and joined
by an empty line, since upstreams have only one system prompt. Tool results become parts of a user message, as
in the Messages API.
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
    formats,
)
from claude_max_proxy.capabilities import carry_content
from claude_max_proxy.dialects.openai_chat.content import has_spare_id, read_parts, read_text
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
    """Read a body; return the request, and the decoded body for the writer.

    Raises :class:`InvalidRequest` with the path of the first field that is wrong.
    """
    unknown: list[str] = []
    chat = formats.decode(_decoder, body, unknown)
    client = Client(session=chat.prompt_cache_key or "")
    request = Request(chat.model, stream=bool(chat.stream), client=client, ignored=unknown)
    heard = _Heard([], {})
    for index, message in enumerate(chat.messages):
        _message(message, f"messages[{index}]", request, heard)
    request.system = "\n\n".join(heard.systems)
    apply_parameters(chat, request)
    return request, chat


class _Heard(msgspec.Struct):
    """What was read so far: the instructions, and the id of the newest call of each function."""

    systems: list[str]
    calls: dict[str, str]


def _message(message: ChatMessage, path: str, request: Request, heard: _Heard) -> None:
    if getattr(message, "name", None) and not isinstance(message, FunctionMessage):
        request.ignore("messages.name")
    match message:
        case SystemMessage() | DeveloperMessage():
            role = "system" if isinstance(message, SystemMessage) else "developer"
            heard.systems.extend(read_text(message.content, f"{path}.content", role))
        case UserMessage():
            parts = read_parts(message.content, f"{path}.content")
            if has_spare_id(message.content):
                request.ignore("messages.content.file.file_id")
            carry_content(request, parts, f"{path}.content")
            request.messages.append(Message("user", parts))
        case AssistantMessage():
            parts = _assistant(message, path)
            heard.calls |= _newest_calls(parts)
            request.messages.append(Message("assistant", parts))
        case ToolMessage():
            parts = read_parts(message.content, f"{path}.content")
            carry_content(request, parts, f"{path}.content")
            result = formats.checked_result(parts, f"{path}.content")
            formats.add_result(ToolResult(message.tool_call_id, result), request.messages)
        case _:  # a FunctionMessage
            call = _called(heard.calls, message.name, path)
            formats.add_result(ToolResult(call, (Text(message.content or ""),)), request.messages)


def _assistant(message: AssistantMessage, path: str) -> list[Part]:
    parts: list[Part] = []
    if message.reasoning_content:
        parts.append(Reasoning(message.reasoning_content))
    texts = read_text(message.content, f"{path}.content", "assistant")
    parts += [Text(text) for text in [*texts, message.refusal] if text]
    for index, call in enumerate(message.tool_calls or []):
        if not call.id:
            raise InvalidRequest.missing(f"{path}.tool_calls[{index}].id")
        parts.append(ToolCall(call.id, call.function.name, call.function.arguments or "{}"))
    if message.function_call is not None:
        legacy = message.function_call
        parts.append(ToolCall(_legacy_id(path), legacy.name, legacy.arguments or "{}"))
    return parts


def _legacy_id(path: str) -> str:
    """Return an id for a call in the API's first form of tools, which has no ids."""
    return "call" + re.sub(r"\W", "", path)


def _newest_calls(parts: list[Part]) -> dict[str, str]:
    """Return the id of the first call of each function in a message, by the function's name."""
    return {part.name: part.id for part in reversed(parts) if isinstance(part, ToolCall)}


def _called(calls: dict[str, str], name: str, path: str) -> str:
    if name not in calls:
        raise InvalidRequest(
            f"{path}: no function call of {formats.shown(name)} stands before its result",
            param=f"{path}.name",
        )
    return calls[name]
