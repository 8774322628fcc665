"""Whether a request goes on where a parked conversation waits, and with what. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from claude_max_proxy import Message, Text, ToolCall, ToolResult
from claude_max_proxy.backends.claude_cli.fingerprint import normal_id
from claude_max_proxy.backends.claude_cli.tools import fits_in_band


def split(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    """Split after the assistant's last message: what a parked conversation knows, and what is new."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "assistant":
            return messages[: index + 1], messages[index + 1 :]

    return [], messages


def is_plain(new: list[Message]) -> bool:
    """Tell whether ``new`` is just what users say next."""
    return not any(isinstance(part, ToolResult) for message in new for part in message.parts)


def results_for(pending: dict[str, str], new: list[Message]) -> dict[str, ToolResult] | None:
    """Match ``new`` with the calls that are parked; ``None`` unless it answers all of them and no more.

    Text that is marked ephemeral rides along as one more block of the last result.
    """
    parts = [part for message in new if not message.ephemeral for part in message.parts]
    riding = [part for message in new if message.ephemeral for part in message.parts]
    given = {normal_id(part.id): part for part in parts if isinstance(part, ToolResult)}
    waiting = {normal_id(call): upstream for call, upstream in pending.items()}
    if not waiting or len(parts) != len(given) or given.keys() != waiting.keys():
        return None

    results = {upstream: given[call] for call, upstream in waiting.items()}
    if riding:
        last = list(results)[-1]
        texts = tuple(part for part in riding if isinstance(part, Text))
        if len(texts) != len(riding):
            return None
        results[last] = ToolResult(results[last].id, (*results[last].parts, *texts), results[last].is_error)
    return results if all(fits_in_band(result) for result in results.values()) else None


def are_sound(calls: Iterable[ToolCall]) -> bool:
    """Tell whether the CLI will pass all these calls on; one with broken arguments it answers by itself."""
    return all(_is_object(call.arguments) for call in calls)


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(arguments or "{}"), dict)
    except (msgspec.DecodeError, RecursionError):
        return False
