"""Messages of a Request as the Messages API takes them. Pure."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from claude_max_proxy import (
    Audio,
    File,
    Image,
    InvalidRequest,
    Message,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)


Block = dict[str, Any]
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


def write_messages(messages: list[Message]) -> list[Block]:
    """Write every message that says something, in its true role; results come first, as the API asks."""
    written = []
    for message in messages:
        parts = sorted(message.parts, key=lambda part: not isinstance(part, ToolResult))
        content = [block for part in parts if (block := _block(part))]
        if content:
            written.append({"role": message.role, "content": content})
    return written


def _block(part: Part) -> Block | None:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text} if text.strip() else None  # which the API refuses
        case Image():
            return _image(part)
        case File():
            return _file(part)
        case Audio():
            raise InvalidRequest("messages: Claude models take no audio", param="messages")
        case ToolCall():
            return {"type": "tool_use", "id": _id(part.id), "name": part.name, "input": _input(part)}
        case ToolResult():
            return _result(part)
        case Reasoning():  # unsigned, it cannot be handed back
            return None


def _id(call_id: str) -> str:
    """Give an id that the API takes: another backend may have made it, with characters of its own."""
    return _NOT_IN_IDS.sub("_", call_id)


def _input(call: ToolCall) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError as error:
        raise InvalidRequest(
            f"the arguments of the tool call {call.id!r} are not valid JSON: {error}"
        ) from error
    if not isinstance(value, dict):
        raise InvalidRequest(f"the arguments of the tool call {call.id!r} are not a JSON object")
    return value


def _image(image: Image) -> Block:
    source = {"type": "base64", "media_type": image.media_type, "data": image.data}
    if image.url:
        source = {"type": "url", "url": image.url}
    return {"type": "image", "source": source}


def _file(file: File) -> Block:
    source = {"type": "base64", "media_type": file.media_type, "data": file.data}
    if file.media_type == "text/plain":  # the API takes text as text
        text = base64.b64decode(file.data).decode()
        source = {"type": "text", "media_type": "text/plain", "data": text}
    block: Block = {"type": "document", "source": source}
    if file.name:
        block["title"] = file.name
    return block


def _result(result: ToolResult) -> Block:
    content = [
        _image(part) if isinstance(part, Image) else {"type": "text", "text": part.text}
        for part in result.parts
        if isinstance(part, Image) or part.text
    ]
    block: Block = {"type": "tool_result", "tool_use_id": _id(result.id), "content": content}
    if result.is_error:
        block["is_error"] = True
    return block
