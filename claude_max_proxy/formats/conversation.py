"""Puts tool results into a conversation in the order that the Messages API asks for."""

from __future__ import annotations

from collections.abc import Sequence

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Image, Message, Part, Text, ToolResult


def not_text(path: str, role: str) -> InvalidRequest:
    """Return the error for the part at ``path``, which is not text, in a message that may hold only text."""
    return InvalidRequest(f"{path}: a message of role {role!r} may hold only text", param=f"{path}.type")


def checked_result(parts: Sequence[Part], path: str) -> tuple[Text | Image, ...]:
    """Return the parts of a tool result at ``path``.

    Raises :class:`InvalidRequest` for anything but text and images.
    """
    for index, part in enumerate(parts):
        if not isinstance(part, Text | Image):
            raise InvalidRequest(
                f"{path}[{index}]: a tool's result may hold text and images", param=f"{path}[{index}].type"
            )
    return tuple(part for part in parts if isinstance(part, Text | Image))


def add_result(result: ToolResult, messages: list[Message]) -> None:
    """Append a result; results that follow each other go into one message, as the Messages API asks."""
    last = messages[-1] if messages else None
    # Results come first in a message, so if its last part is a result, it contains nothing else.
    if last and last.role == "user" and (not last.parts or isinstance(last.parts[-1], ToolResult)):
        last.parts.append(result)
    else:
        messages.append(Message("user", [result]))
