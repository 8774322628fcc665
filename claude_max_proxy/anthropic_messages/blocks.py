"""Writes the parts of a message as the API's content blocks."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.formats.blank import is_blank
from claude_max_proxy.request import Audio, File, Image, Part, Reasoning, Text, ToolCall, ToolResult


Block = dict[str, Any]
Rename = Callable[[str], str]


def write_content(parts: Iterable[Part], call_id: Rename, tool_name: Rename = str) -> list[Block]:
    """Return the parts of a message as blocks: results come first, and what the API refuses is left out.

    ``call_id`` and ``tool_name`` map ids and names to those that the other side accepts. The result of a call
    that failed may only contain text, so its images and documents follow after the results. Raises
    :class:`InvalidRequest` for audio.
    """
    said = [part for part in parts if not isinstance(part, Text) or not is_blank(part.text)]
    parts = sorted(said, key=lambda part: not isinstance(part, ToolResult))
    written = [block for part in parts if (block := write_block(part, call_id, tool_name))]
    shown = [
        _inline(piece)
        for part in parts
        if isinstance(part, ToolResult) and part.is_error
        for piece in part.parts
        if not isinstance(piece, Text)
    ]
    results = sum(isinstance(part, ToolResult) for part in parts)
    return [*written[:results], *shown, *written[results:]]


def write_block(part: Part, call_id: Rename, tool_name: Rename = str) -> Block | None:
    """Return a part as a block, or ``None`` if the API refuses it: empty text, or an unsigned thought.

    ``call_id`` and ``tool_name`` map ids and names to those that the other side accepts. Raises
    :class:`InvalidRequest` for audio.
    """
    match part:
        case Text(text=text):
            return {"type": "text", "text": text} if text else None
        case Image() | File():
            return _inline(part)
        case ToolCall():
            name = tool_name(part.name)
            return {"type": "tool_use", "id": call_id(part.id), "name": name, "input": call_input(part)}
        case ToolResult():
            return _result(part, call_id)
        case Audio():
            raise InvalidRequest.at("messages", "Claude models take no audio")
        case Reasoning():  # pragma: no branch  # the union is closed
            return thinking_block(part) if part.signature else None


def thinking_block(thought: Reasoning) -> Block:
    """Return a thought as a block; one without a signature can be shown, but not sent back to the API."""
    if thought.redacted:
        return {"type": "redacted_thinking", "data": thought.signature}

    return {"type": "thinking", "thinking": thought.text, "signature": thought.signature}


def call_input(call: ToolCall) -> dict[str, Any]:
    """Return a call's arguments as an object, which is all that the API accepts.

    If the model has written something else, and the client sends that back, it becomes the only member of an
    object: so the model sees what it wrote, and can do better.
    """
    try:
        value = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"arguments": call.arguments}


def _inline(part: Text | Image | File) -> Block:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Image():
            return {"type": "image", "source": _source(part)}
        case File():  # pragma: no branch  # the union is closed
            source = _source(part)
            if part.media_type == "text/plain" and not part.url:  # the API does not accept it as base64
                text = base64.b64decode(part.data).decode()
                source = {"type": "text", "media_type": "text/plain", "data": text}
            block: Block = {"type": "document", "source": source}
            if part.name:
                block["title"] = part.name
            return block


def _source(part: Image | File) -> Block:
    if part.url:
        return {"type": "url", "url": part.url}

    return {"type": "base64", "media_type": part.media_type, "data": part.data}


def _result(result: ToolResult, call_id: Rename) -> Block:
    content = [
        _inline(part)
        for part in result.parts
        if (not is_blank(part.text) if isinstance(part, Text) else not result.is_error)
    ]
    block: Block = {"type": "tool_result", "tool_use_id": call_id(result.id), "content": content}
    if result.is_error:
        block["is_error"] = True
    return block
