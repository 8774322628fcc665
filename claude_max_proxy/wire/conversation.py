"""Tool results, put into a conversation as the Messages API has them."""

from __future__ import annotations

from collections.abc import Sequence

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Image, Message, Part, Text, ToolResult


def checked_result(parts: Sequence[Part], path: str) -> tuple[Text | Image, ...]:
    """Return a tool result's parts, found at ``path``; it may hold text and images, nothing else."""
    for index, part in enumerate(parts):
        if not isinstance(part, Text | Image):
            raise InvalidRequest(
                f"{path}[{index}]: a tool's result may hold text and images", param=f"{path}[{index}].type"
            )
    return tuple(part for part in parts if isinstance(part, Text | Image))


def add_result(result: ToolResult, messages: list[Message]) -> None:
    """Put results that follow each other into one message, as the Messages API asks."""
    last = messages[-1] if messages else None
    if last and last.role == "user" and all(isinstance(part, ToolResult) for part in last.parts):
        last.parts.append(result)
    else:
        messages.append(Message("user", [result]))
