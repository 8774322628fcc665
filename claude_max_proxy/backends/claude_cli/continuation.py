"""Whether what is new in a request answers the tool calls that wait for results. Pure."""

from __future__ import annotations

from claude_max_proxy import Message, Text, ToolResult
from claude_max_proxy.backends.claude_cli.fingerprint import normal_id
from claude_max_proxy.backends.claude_cli.tools import fits_in_band


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
