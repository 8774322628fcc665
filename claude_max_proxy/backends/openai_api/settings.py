"""``[backends.<name>]`` with ``type = "openai"``: every key of its own, its default and what it means."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from claude_max_proxy import HttpSettings


# What the chat completions API knows beyond what a Request has a place for.
Honoured = Literal[
    "frequency_penalty",
    "http_images",
    "input_audio",
    "logit_bias",
    "metadata",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "seed",
    "service_tier",
    "store",
    "user",
    "verbosity",
    "web_search_options",
]
CONTENT = frozenset({"http_images", "input_audio"})


class OpenAIApiSettings(HttpSettings, frozen=True):
    """How to ask an OpenAI-compatible server.

    ``include_usage`` asks for the tokens of a streamed answer; turn it off for a server that refuses
    ``stream_options``. ``max_tokens_field`` is what the server calls the limit of an answer. ``lacks`` names
    parameters that the server does not take: they are not sent. ``hand_back_reasoning`` sends the thoughts of
    earlier answers, which some servers need in tool loops, and others refuse. ``extra_body`` is added to
    every request as it is.
    """

    base_url: str = "https://api.openai.com/v1"
    include_usage: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    hand_back_reasoning: bool = False
    lacks: tuple[Honoured, ...] = ()
    extra_body: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def honoured(self) -> frozenset[str]:
        """Name what the server makes use of in ``Request.extra``."""
        return frozenset(get_args(Honoured)) - frozenset(self.lacks)
