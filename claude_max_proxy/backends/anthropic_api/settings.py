"""``[backends.<name>]`` with ``type = "anthropic"``: every key of its own, its default and what it means."""

from __future__ import annotations

from typing import Literal

from claude_max_proxy import HttpSettings


class AnthropicApiSettings(HttpSettings, frozen=True):
    """How to ask the Messages API with a key.

    ``version`` is the API's. ``max_tokens`` holds for requests that set none, as the API wants a limit.
    ``cache`` marks the end of the tools, the system prompt and the newest message for the prompt cache.
    ``thinking`` turns a request's effort into thinking: "adaptive" for the models that decide for themselves
    how long, "budget" for those before them, "off" for none.
    """

    base_url: str = "https://api.anthropic.com"
    version: str = "2023-06-01"
    max_tokens: int = 8192
    cache: bool = True
    thinking: Literal["off", "adaptive", "budget"] = "off"
