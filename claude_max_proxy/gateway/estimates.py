"""Estimates how many tokens a request has where nobody can count them exactly. Pure.

Text and JSON count as one token for every 3.5 bytes of UTF-8. This is close for English, and gives a little
too many tokens for most other texts. Every image counts as a large one. A document counts as its text or, if
it is not plain text, as one page for every 50 kB.
"""

from __future__ import annotations

import math

import msgspec

from claude_max_proxy.request import (
    Audio,
    File,
    Image,
    Message,
    Part,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)


_BYTES_PER_TOKEN = 3.5
_PER_MESSAGE = 4
_PER_TOOL = 20
_PER_IMAGE = 1600
_PER_PAGE = 2000
_PAGE_BYTES = 50_000
_BYTES_PER_SECOND = 32_000  # of speech
_PER_SECOND = 25


def estimate_tokens(request: Request) -> int:
    """Return an estimate of the number of input tokens of ``request``."""
    total = (
        text_tokens(request.system) + sum(map(_tool, request.tools)) + sum(map(_message, request.messages))
    )
    return max(1, math.ceil(total))


def text_tokens(text: str) -> float:
    """Return an estimate of the number of tokens of a text; the estimates of its pieces add up to it."""
    return len(text.encode()) / _BYTES_PER_TOKEN


def _message(message: Message) -> float:
    return _PER_MESSAGE + sum(map(_part, message.parts))


def _tool(tool: Tool) -> float:
    schema = msgspec.json.encode(tool.parameters or {}).decode()
    return _PER_TOOL + text_tokens(tool.name) + text_tokens(tool.description or "") + text_tokens(schema)


def _part(part: Part) -> float:
    match part:
        case Text(text=text) | Reasoning(text=text):
            return text_tokens(text)
        case Image():
            return _PER_IMAGE
        case File():
            return _file(part)
        case Audio(data=data):
            return max(1, _size(data) / _BYTES_PER_SECOND) * _PER_SECOND
        case ToolCall():
            return _PER_MESSAGE + text_tokens(part.name) + text_tokens(part.arguments)
        case ToolResult():  # pragma: no branch  # the union is closed
            return _PER_MESSAGE + sum(map(_part, part.parts))


def _file(file: File) -> float:
    if file.media_type == "text/plain":
        return _size(file.data) / _BYTES_PER_TOKEN

    return max(1, math.ceil(_size(file.data) / _PAGE_BYTES)) * _PER_PAGE


def _size(data: str) -> float:
    """Return the number of bytes that a base64 text stands for."""
    return len(data) * 3 / 4
