"""Ids of tool calls, as a provider takes them: in its characters, and each only once. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Message, Part, ToolCall, ToolResult


def distinct_ids(messages: Sequence[Message], normal: Callable[[str], str]) -> list[Message]:
    """Return the messages with every call's id made ``normal``, and other than all before it.

    Some servers count calls anew in every answer, so a client's history may hold one id many times, which the
    Messages API refuses. A result belongs to the newest call of its id. The same history always gets the same
    ids, so a provider's cache recognises it. Raises :class:`InvalidRequest` for one id twice in a message.
    """
    used: set[str] = set()
    newest: dict[str, str] = {}
    return [_renamed(message, normal, used, newest) for message in messages]


def _renamed(
    message: Message, normal: Callable[[str], str], used: set[str], newest: dict[str, str]
) -> Message:
    if not any(isinstance(part, ToolCall | ToolResult) for part in message.parts):
        return message

    parts: list[Part] = []
    here: set[str] = set()
    for part in message.parts:
        if isinstance(part, ToolCall):
            name = normal(part.id)
            if name in here:
                raise InvalidRequest(
                    f"messages: two tool calls of one message have the id {part.id!r}; each needs one",
                    param="messages",
                )
            here.add(name)
            newest[name] = _unused(name, used)
            parts.append(msgspec.structs.replace(part, id=newest[name]))
        elif isinstance(part, ToolResult):
            name = normal(part.id)
            parts.append(msgspec.structs.replace(part, id=newest.get(name, name)))
        else:
            parts.append(part)
    return Message(message.role, parts, message.ephemeral)


def _unused(name: str, used: set[str]) -> str:
    number, candidate = 1, name
    while candidate in used:
        number += 1
        candidate = f"{name}x{number}"
    used.add(candidate)
    return candidate
