"""Digests of conversations: two are equal exactly when everything that shaped the conversations is. Pure.

A digest is made of the meaning, not of the bytes, because clients send earlier answers back in their own way:
they serialise arguments again, reduce tool ids to letters and digits, drop reasoning, join texts, and leave
out texts of white space alone. What never reaches the model does not count, and neither do messages that are
marked ephemeral. The digest of a message includes all messages before it, so every prefix of a history has
its own digest.
"""

from __future__ import annotations

import hashlib
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
    formats,
)
from claude_max_proxy.anthropic_messages import is_blank
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind


_encode = msgspec.json.Encoder(order="deterministic").encode


class Bound(msgspec.Struct, frozen=True):
    """What a process is told before the first message and cannot be told again, as digests."""

    model: str = ""
    agent: bytes = b""
    instructions: bytes = b""
    schema: bytes = b""
    tools: bytes = b""


def bound(request: Request, kind: ProcessKind) -> Bound:
    """Digest what binds a process.

    The body of each request to the API contains the tools, so they do not bind a process. Only an agent is
    told of them by the CLI, at the beginning.
    """
    schema = b"" if request.response_schema is None else _digest(b"", request.response_schema)
    if request.agent is None:
        return Bound(kind.model, b"", _digest(b"", request.system), schema)

    tools = [msgspec.structs.replace(tool, fields=_lasting(tool.fields)) for tool in request.tools]
    told = _digest(b"", [tools, request.response_format])
    return Bound(kind.model, _digest(b"", kind.agent), _digest(b"", request.system), schema, told)


def root(request: Request, kind: ProcessKind) -> bytes:
    """Return the digest of all that binds a process."""
    return root_of(bound(request, kind))


def root_of(bound: Bound) -> bytes:
    """Return the digest of all that binds a process, from its parts."""
    return _digest(b"", [bound.model, bound.agent, bound.instructions, bound.schema, bound.tools])


def extend(digest: bytes, messages: Sequence[Message]) -> bytes:
    """Digest ``messages`` on top of everything before them."""
    for message in messages:
        if lasts(message):
            digest = follow(digest, mark(message))
    return digest


def mark(message: Message) -> bytes:
    """Digest one message alone."""
    return _digest(b"", [message.role, _content(message)])


def follow(digest: bytes, mark: bytes) -> bytes:
    """Return the digest of a message, given its mark, on top of everything before it."""
    return hashlib.blake2b(digest + mark, digest_size=32).digest()


def lasts(message: Message) -> bool:
    """Return whether a message counts: it says something to the model and is not marked ephemeral."""
    return any(_content(message)) and not message.ephemeral


def _digest(before: bytes, value: Any) -> bytes:
    return hashlib.blake2b(before + _encode(value), digest_size=32).digest()


def _lasting(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields without marks for the prompt cache, which clients move and which mean nothing."""
    return {name: value for name, value in fields.items() if name != "cache_control"}


def _content(message: Message) -> list[Any]:
    return _assistant(message) if message.role == "assistant" else _user(message)


def _user(message: Message) -> list[Any]:
    return [_meaning(part) for part in message.parts if not _says_nothing(part)]


def _says_nothing(part: Part) -> bool:
    """Return whether the part is not written for the model: text of white space, or an unsigned thought."""
    if isinstance(part, Reasoning):
        return not part.signature
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
            return ["call", formats.tool_ids.plain(part.id), part.name, _arguments(part.arguments)]
        case ToolResult():
            inner = [_meaning(piece) for piece in part.parts if not _says_nothing(piece)]
            return ["result", formats.tool_ids.plain(part.id), inner, part.is_error]
        case Reasoning():  # pragma: no branch  # the union is closed
            return ["reasoning", part.text, part.signature]


def _arguments(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        return arguments
