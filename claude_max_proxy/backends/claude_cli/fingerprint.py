"""What a conversation is, as a short value: equal exactly when everything that shaped it is equal. Pure.

It is made of meaning, not of bytes, because clients hand answers back in their own way: they re-serialise
arguments, strip tool ids to letters and digits, drop reasoning, join texts, and leave out white space that
stood alone. What never reaches the model counts for nothing, and messages marked ephemeral are left out.
Each message's digest includes all before it, so a prefix of a history has a value of its own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
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
    ToolCall,
    ToolResult,
)
from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.messages_api import is_blank


_encode = msgspec.json.Encoder(order="deterministic").encode
_NOT_ALPHANUMERIC = re.compile(r"[^A-Za-z0-9]")


def root(request: Request, kind: Kind) -> bytes:
    """Digest what binds a process: what it is told before the first message, and cannot be told again.

    The API gets tools in its body with each request, so they bind only an agent, which the CLI tells of them.
    """
    bound = [kind, request.system, request.response_schema]
    if request.agent is not None:
        tools = [msgspec.structs.replace(tool, fields=_lasting(tool.fields)) for tool in request.tools]
        bound += [tools, request.response_format]
    return _digest(b"", bound)


def extend(digest: bytes, messages: Sequence[Message]) -> bytes:
    """Digest ``messages`` on top of everything before them."""
    for message in messages:
        if lasts(message):
            digest = _digest(digest, [message.role, _content(message)])
    return digest


def lasts(message: Message) -> bool:
    """Tell whether a message is part of what a conversation is."""
    return any(_content(message)) and not message.ephemeral


def normal_id(call_id: str) -> str:
    """A tool call's id as every client keeps it and every upstream takes it: its letters and digits."""
    return _NOT_ALPHANUMERIC.sub("", call_id) or hashlib.blake2b(call_id.encode(), digest_size=8).hexdigest()


def _digest(before: bytes, value: Any) -> bytes:
    return hashlib.blake2b(before + _encode(value), digest_size=32).digest()


def _lasting(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out marks of the prompt cache, which may move and mean nothing."""
    return {name: value for name, value in fields.items() if name != "cache_control"}


def _content(message: Message) -> list[Any]:
    return _assistant(message) if message.role == "assistant" else _user(message)


def _user(message: Message) -> list[Any]:
    return [_meaning(part) for part in message.parts if not _is_blank(part)]


def _is_blank(part: Part) -> bool:
    return isinstance(part, Text) and is_blank(part.text)


def _assistant(message: Message) -> list[Any]:
    text = "".join(part.text for part in message.parts if isinstance(part, Text))
    calls = [_meaning(part) for part in message.parts if isinstance(part, ToolCall)]
    return ["" if is_blank(text) else text, calls]


def _meaning(part: Part) -> list[Any]:
    match part:
        case Text(text=text):
            return ["text", text]
        case Image():
            return ["image", part.media_type, part.data, part.url]
        case Audio():
            return ["audio", part.format, part.data]
        case File():
            return ["file", part.media_type, part.data, part.name, part.url]
        case ToolCall():
            return ["call", normal_id(part.id), part.name, _arguments(part.arguments)]
        case ToolResult():
            inner = [_meaning(piece) for piece in part.parts if not _is_blank(piece)]
            return ["result", normal_id(part.id), inner, part.is_error]
        case Reasoning():
            return ["reasoning"]


def _arguments(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        return arguments
