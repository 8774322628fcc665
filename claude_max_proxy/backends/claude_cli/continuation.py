"""Finds out whether the new messages of a request answer the tool calls that wait for results. Pure."""

from __future__ import annotations

from claude_max_proxy import Message, Text, ToolResult, formats
from claude_max_proxy.backends.claude_cli.tools import fits_in_band


def results_for(pending: dict[str, str], new: list[Message]) -> dict[str, ToolResult] | None:
    """Return the results in ``new`` by the upstream's ids of the calls that wait for them.

    ``pending`` maps the calls' ids as the client knows them to the upstream's. Returns ``None`` unless the
    messages answer all of these calls and hold nothing else, and the CLI passes the results on unchanged.
    Text that is marked ephemeral is allowed: it becomes a further block of the last result.
    """
    parts = [part for message in new if not message.ephemeral for part in message.parts]
    riding = [part for message in new if message.ephemeral for part in message.parts]
    given = {formats.tool_ids.plain(part.id): part for part in parts if isinstance(part, ToolResult)}
    waiting = {formats.tool_ids.plain(call): upstream for call, upstream in pending.items()}
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
