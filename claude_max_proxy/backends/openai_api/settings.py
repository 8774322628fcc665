"""``[backends.<name>]`` with ``type = "openai"``: every key of its own, its default and what it means."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from claude_max_proxy import HttpSettings


class OpenAIApiSettings(HttpSettings, frozen=True):
    """How to ask an OpenAI-compatible server.

    ``include_usage`` asks for the tokens of a streamed answer; turn it off for a server that refuses
    ``stream_options``. ``max_tokens_field`` is what the server calls the limit of an answer. ``extra_body``
    is added to every request as it is.
    """

    base_url: str = "https://api.openai.com/v1"
    include_usage: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    extra_body: dict[str, Any] = msgspec.field(default_factory=dict)
