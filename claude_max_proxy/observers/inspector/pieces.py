"""Cuts a request into pieces of text, within bounds. Pure.

The bounds are in characters. The newest messages are the most interesting ones, so they are taken first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from claude_max_proxy import (
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
from claude_max_proxy.facts.inspection import Piece, PieceKind, Said


MOST_OF_A_PIECE = 100_000
MOST_OF_A_REQUEST = 400_000
_MOST_OF_ALL_TOOLS = 100_000
_MOST_OF_JSON = 20_000
_MOST_PIECES = 400
_MOST_OF_A_NAME = 200


def pieces(request: Request) -> Said:
    """Return the pieces of a request: parameters, instructions, tools, and its messages in their order."""
    found = [Piece("parameters", "Parameters", *_json(_parameters(request), _MOST_OF_JSON))]
    if request.system:
        found.append(piece("instructions", "Instructions", request.system))
    found += _tools(request.tools)
    room = MOST_OF_A_REQUEST - sum(len(one.text) for one in found)
    said, left_out = _messages(request.messages, room, _MOST_PIECES - len(found))
    return Said((*found, *said), left_out)


def piece(kind: PieceKind, title: str, text: str, room: int = MOST_OF_A_PIECE) -> Piece:
    """Return a piece whose text is cut if it is too long; ``room`` is how long it may be at most."""
    most = min(MOST_OF_A_PIECE, max(0, room))
    return Piece(kind, title, text[:most], max(0, len(text) - most))


def name(text: str) -> str:
    """Return a name from outside, cut if it is long."""
    return text if len(text) <= _MOST_OF_A_NAME else f"{text[:_MOST_OF_A_NAME]}…"


def _messages(messages: list[Message], room: int, most: int) -> tuple[list[Piece], int]:
    """Return the pieces of the newest messages, in their order, and how many messages were left out."""
    found: list[Piece] = []
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        for part in reversed(message.parts):
            if room <= 0 or len(found) >= most:
                return found[::-1], index + 1
            made = _of_part(message.role, part, room)
            room -= len(made.text)
            found.append(made)
    return found[::-1], 0


def _of_part(role: str, part: Part, room: int) -> Piece:
    match part:
        case Text():
            return piece("message", role, part.text, room)
        case Reasoning():
            hidden = ", which the provider does not show" if part.redacted else ""
            return piece("message", f"{role} · thinking{hidden}", part.text, room)
        case ToolCall():
            title = f"{role} · call of {name(part.name)}, {name(part.id)}"
            return piece("message", title, part.arguments, room)
        case ToolResult():
            title = f"{role} · result of {name(part.id)}{', an error' if part.is_error else ''}"
            return piece("message", title, _joined(part), room)
        case _:
            return piece("message", f"{role} · {type(part).__name__.lower()}", _described(part), room)


def _joined(result: ToolResult) -> str:
    """Return the parts of a tool's result as one text, of which not much more is made than can be shown."""
    texts: list[str] = []
    room = MOST_OF_A_PIECE
    for part in result.parts:
        texts.append(part.text if isinstance(part, Text) else f"[{_described(part)}]")
        room -= len(texts[-1])
        if room < 0:
            break
    return "\n".join(texts)


def _described(part: Image | Audio | File) -> str:
    """Return what is known of something that is no text."""
    kind = part.format if isinstance(part, Audio) else part.media_type
    words = [kind, name(part.name) if isinstance(part, File) else ""]
    if part.data:
        words.append(f"{len(part.data) * 3 // 4:,} bytes")
    if not isinstance(part, Audio):
        words.append(name(part.url))
    return ", ".join(filter(None, words))


def _tools(tools: list[Tool]) -> Iterator[Piece]:
    room = _MOST_OF_ALL_TOOLS
    for tool in tools[: _MOST_PIECES // 2]:
        definition = msgspec.structs.asdict(tool)
        shown = {key: value for key, value in definition.items() if key not in ("name", "path") and value}
        text, missing = _json(shown, min(_MOST_OF_JSON, max(0, room)))
        room -= len(text)
        yield Piece("tool", name(tool.name), text, missing)


def _parameters(request: Request) -> dict[str, Any]:
    """Return what a request sets besides what is said."""
    given = {
        "model": request.model,
        "stream": request.stream,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop": request.stop,
        "effort": request.effort,
        "tool_choice": msgspec.to_builtins(request.tool_choice) if request.tools else None,
        "tools": len(request.tools) or None,
        "response_schema": request.response_schema,
        "session": request.client.session,
        "ignored": request.ignored,
        **request.extra,
    }
    return {key: value for key, value in given.items() if value not in (None, "", [], {})}


def _json(value: Any, most: int) -> tuple[str, int | None]:
    """Return a value as JSON, and 0; of a large value only the beginning, and ``None``: nobody counts it.

    A value that is nested deeply is large by its indentation, long before the encoder's recursion ends.
    """
    texts: list[str] = []
    room = most
    for text in json.JSONEncoder(ensure_ascii=False, indent=2, default=str).iterencode(value):
        texts.append(text[:room])
        room -= len(text)
        if room < 0:
            return "".join(texts), None
    return "".join(texts), 0
