"""Writes the numbers of tokens in the form of OpenAI's completions."""

from __future__ import annotations

from typing import Any

from claude_max_proxy.events import Usage


def usage(tokens: Usage) -> dict[str, Any]:
    """Return usage as OpenAI counts it: the prompt includes what was read from and written to the cache."""
    return {
        "prompt_tokens": tokens.prompt_tokens,
        "completion_tokens": tokens.output_tokens,
        "total_tokens": tokens.prompt_tokens + tokens.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cache_read_tokens,
            "cache_write_tokens": tokens.cache_write_tokens,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning_tokens or 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
