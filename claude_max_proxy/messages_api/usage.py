"""Tokens, as the API counts them and as we do."""

from __future__ import annotations

from typing import Any

from claude_max_proxy.events import Usage
from claude_max_proxy.messages_api.stream import ApiUsage


def add_usage(known: ApiUsage, said: ApiUsage | None) -> None:
    """Take over what one event says: each number is a total, not an addition."""
    for name in ApiUsage.__struct_fields__ if said else ():
        if (value := getattr(said, name)) is not None:
            setattr(known, name, value)


def read_usage(tokens: ApiUsage) -> Usage:
    """Read the tokens of a message; what was never said is none."""
    details = tokens.output_tokens_details
    return Usage(
        tokens.input_tokens or 0,
        tokens.output_tokens or 0,
        tokens.cache_read_input_tokens or 0,
        tokens.cache_creation_input_tokens or 0,
        details.thinking_tokens if details else None,
    )


def write_usage(usage: Usage) -> dict[str, Any]:
    """Write the tokens of a message."""
    written: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens is not None:
        written["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return written
