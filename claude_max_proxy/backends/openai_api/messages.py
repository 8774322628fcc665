"""Writes the messages of a Request for the chat completions API. Pure.

In this API a tool's result is a separate message, which contains only text and must directly follow its call.
So the results come first, then a user message with their images and documents, and then what the user says.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from claude_max_proxy import (
    Audio,
    File,
    Image,
    InvalidRequest,
    Message,
    Part,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
)
from claude_max_proxy.anthropic_messages import ToolNames


Wire = dict[str, Any]
_MORE_FOLLOWS = "(the result is in the images and documents that follow)"


def write_messages(request: Request, names: ToolNames, *, reasoning: bool = False) -> list[Wire]:
    """Return the system prompt and all messages, in their true roles.

    ``names`` maps the names of the client's tools to the upstream's. ``reasoning`` says whether the thoughts
    of earlier answers are sent back. Raises :class:`InvalidRequest` for a document that is only linked to.
    """
    written: list[Wire] = []
    if request.system:
        written.append({"role": "system", "content": request.system})
    for message in request.messages:
        if message.role == "assistant":
            written += _assistant(message, names, reasoning=reasoning)
        else:
            written += _user(message)
    return written


def _assistant(message: Message, names: ToolNames, *, reasoning: bool) -> list[Wire]:
    """Write what the model said; only some servers' form of the API has a field for what it thought."""
    text = "".join(part.text for part in message.parts if isinstance(part, Text))
    calls = [_call(part, names) for part in message.parts if isinstance(part, ToolCall)]
    if not (text or calls):
        return []

    wire: Wire = {"role": "assistant", "content": text or None}
    if calls:
        wire["tool_calls"] = calls
    thoughts = "".join(part.text for part in message.parts if isinstance(part, Reasoning))
    if reasoning and thoughts:
        wire["reasoning_content"] = thoughts
    return [wire]


def _call(call: ToolCall, names: ToolNames) -> Wire:
    function = {"name": names.upstream(call.name), "arguments": call.arguments or "{}"}
    return {"id": call.id, "type": "function", "function": function}


def _user(message: Message) -> list[Wire]:
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    said = [part for part in message.parts if not isinstance(part, ToolResult)]
    shown: list[Part] = [part for result in results for part in result.parts if not isinstance(part, Text)]
    written = [_result(result) for result in results]
    if shown:
        written.append({"role": "user", "content": _content(shown)})
    if said or not written:
        written.append({"role": "user", "content": _content(said)})
    return written


def _result(result: ToolResult) -> Wire:
    text = "\n".join(part.text for part in result.parts if isinstance(part, Text))
    if not text and result.parts:
        text = _MORE_FOLLOWS
    return {
        "role": "tool",
        "tool_call_id": result.id,
        "content": f"Error: {text}" if result.is_error else text,
    }


def _content(parts: Sequence[Part]) -> str | list[Wire]:
    """Return parts as content; a single text becomes a string, which every server understands."""
    match parts:
        case []:
            return ""
        case [Text(text=text)]:
            return text
        case _:
            return [block for part in parts if (block := _block(part))]


def _block(part: Part) -> Wire | None:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Image():
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            return {"type": "image_url", "image_url": {"url": url}}
        case Audio():
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
        case File():
            return _file(part)
        case _:  # calls and reasoning only occur in the assistant's messages
            return None


def _file(file: File) -> Wire:
    """Return a document as a block: a PDF as a file, plain text as text, since files can only be PDFs."""
    if file.url:
        raise InvalidRequest.at(
            "messages", "this model takes documents inline only, not by URL", code="unsupported_content"
        )
    if file.media_type == "text/plain":
        text = base64.b64decode(file.data).decode()
        return {"type": "text", "text": f"{file.name}:\n\n{text}" if file.name else text}

    data = f"data:{file.media_type};base64,{file.data}"
    return {"type": "file", "file": {"filename": file.name or "document.pdf", "file_data": data}}
