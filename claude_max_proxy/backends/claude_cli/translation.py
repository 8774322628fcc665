"""Messages of a Request as the CLI takes them, so that they reach the model byte for byte. Pure.

The CLI looks for slash commands and file mentions in the last text block of a user message only, and drops
empty text blocks. So every user message is an array that ends with an empty text block: whatever the client
wrote is never the last one.
"""

from __future__ import annotations

import base64
import secrets
import uuid
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
from claude_max_proxy.backends.claude_cli.fingerprint import normal_id
from claude_max_proxy.backends.claude_cli.protocol import line
from claude_max_proxy.backends.claude_cli.tools import upstream_name


Block = dict[str, Any]
GUARD: Block = {"type": "text", "text": ""}


def history_lines(message: Message, names: dict[str, str]) -> bytes | None:
    """Write one message of the history; a user's is appended without asking the model.

    ``names`` maps the names of the client's tools to the upstream's. A message of white space
    alone says nothing, and the upstream refuses it: ``None``.
    """
    content = blocks(message, names)
    if not any(block.get("text", "x").strip() for block in content):
        return None
    if message.role == "user":
        return user_line(message, names, ask=False)

    body = {
        "id": "msg_" + secrets.token_hex(12),  # without unique ids, neighbours merge
        "type": "message",
        "role": "assistant",
        "content": content,
    }
    return line("assistant", uuid=str(uuid.uuid4()), message=body)


def user_line(message: Message, names: dict[str, str], *, ask: bool) -> bytes:
    """Write a user's message; ``ask`` makes the model answer it."""
    content = [*blocks(message, names), GUARD]
    fields: dict[str, Any] = {} if ask else {"shouldQuery": False}
    return line("user", message={"role": "user", "content": content}, **fields)


def blocks(message: Message, names: dict[str, str]) -> list[Block]:
    """Write a message's parts as content blocks; what the API knows nothing of is left out."""
    written = (_block(part, names) for part in message.parts)
    return [block for block in written if block is not None]


def _block(part: Part, names: dict[str, str]) -> Block | None:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text} if text else None
        case Image():
            return _image(part)
        case File():
            return _file(part)
        case Audio():
            raise InvalidRequest("messages: Claude models take no audio", param="messages")
        case ToolCall():
            return {
                "type": "tool_use",
                "id": normal_id(part.id),
                "name": names.get(part.name) or upstream_name(part.name),
                "input": call_input(part),
            }
        case ToolResult():
            return _result(part)
        case Reasoning():  # unsigned, it cannot be handed back
            return None


def call_input(call: ToolCall) -> dict[str, Any]:
    """Read a call's arguments; the API takes an object only.

    A model may write anything else, and its client hands it back: the model then sees what it wrote as the
    only member of an object, and can do better.
    """
    try:
        value = msgspec.json.decode(call.arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"arguments": call.arguments}


def _image(image: Image) -> Block:
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}

    source = {"type": "base64", "media_type": image.media_type, "data": image.data}
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
    block: Block = {"type": "tool_result", "tool_use_id": normal_id(result.id), "content": content}
    if result.is_error:
        block["is_error"] = True
    return block
