"""Converts the numbers of tokens between the API's form and ours."""

from __future__ import annotations

from typing import Any

from claude_max_proxy.anthropic_messages.stream import ApiUsage
from claude_max_proxy.events import Usage


def add_usage(known: ApiUsage, said: ApiUsage | None) -> None:
    """Update ``known`` with what one event says: its numbers are totals, not additions."""
    for name in ApiUsage.__struct_fields__ if said else ():
        if (value := getattr(said, name)) is not None:
            setattr(known, name, value)


def read_usage(tokens: ApiUsage) -> Usage:
    """Convert the numbers of tokens to ours; a number that the API has not sent is 0."""
    details = tokens.output_tokens_details
    return Usage(
        tokens.input_tokens or 0,
        tokens.output_tokens or 0,
        tokens.cache_read_input_tokens or 0,
        tokens.cache_creation_input_tokens or 0,
        details.thinking_tokens if details else None,
    )


def write_usage(usage: Usage) -> dict[str, Any]:
    """Convert the numbers of tokens to the API's form."""
    written: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens is not None:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written
