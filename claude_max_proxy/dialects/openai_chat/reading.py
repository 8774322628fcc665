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
    Image,
    InvalidRequest,
    Message,
    Part,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
    carry_content,
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
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")


def read(body: bytes) -> tuple[Request, ChatCompletionRequest]:
    """Read a body; give the request, and the wire's own form for the writer.

    Raises :class:`InvalidRequest` with the path of the first field that is wrong.
    """
    wire = decode(body)
    client = Client(session=wire.prompt_cache_key or "")
    request = Request(wire.model, stream=bool(wire.stream), client=client)
    systems: list[str] = []
    for index, message in enumerate(wire.messages):
        _message(message, f"messages[{index}]", request, systems)
    request.system = "\n\n".join(systems)
    apply_parameters(wire, request)
    return request, wire


def decode(body: bytes) -> ChatCompletionRequest:
    """Decode the JSON and check its types."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}", code="invalid_json") from error
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply", code="invalid_json") from error


def _refusal(message: str) -> InvalidRequest:
    """Say what is wrong and where, from what msgspec says of it."""
    at = _AT.search(message)
    path = at["path"] if at else ""
    text = _AT.sub("", message)
    if missing := _MISSING.fullmatch(text):
        path = f"{path}.{missing['field']}" if path else missing["field"]
        return InvalidRequest(f"{path} is missing", param=path)

    return InvalidRequest(f"{path or 'the body'}: {text[0].lower()}{text[1:]}", param=path or None)


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
            _add_result(ToolResult(message.tool_call_id, _result(parts, path)), request)
        case FunctionMessage():
            call = _newest_call(request, message.name, path)
            _add_result(ToolResult(call, (Text(message.content or ""),)), request)


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


def _result(parts: list[Part], path: str) -> tuple[Text | Image, ...]:
    for index, part in enumerate(parts):
        if not isinstance(part, Text | Image):
            raise InvalidRequest(
                f"{path}.content[{index}]: a tool's result may hold text and images",
                param=f"{path}.content[{index}].type",
            )
    return tuple(part for part in parts if isinstance(part, Text | Image))


def _add_result(result: ToolResult, request: Request) -> None:
    """Put results that follow each other into one message, as the Messages API asks."""
    last = request.messages[-1] if request.messages else None
    if last and last.role == "user" and all(isinstance(part, ToolResult) for part in last.parts):
        last.parts.append(result)
    else:
        request.messages.append(Message("user", [result]))


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
