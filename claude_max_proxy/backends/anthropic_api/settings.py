"""The settings of ``[backends.<name>]`` with ``type = "anthropic"``, besides those of all HTTP backends."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from claude_max_proxy.http_upstream import HttpSettings


class AnthropicApiSettings(HttpSettings, frozen=True):
    """Anthropic's Messages API, with an API key."""

    base_url: Annotated[str, Meta(description="The URL at which the API begins, without `/v1`.")] = (
        "https://api.anthropic.com"
    )
    version: Annotated[
        str, Meta(description="The version of the API, which is sent as the header `anthropic-version`.")
    ] = "2023-06-01"
    max_tokens: Annotated[
        int,
        Meta(
            description="The limit on an answer's length, in tokens, for requests that do not set one "
            "themselves: the API requires it."
        ),
    ] = 8192
    cache: Annotated[
        bool,
        Meta(
            description="Mark the tools, the system prompt and the newest message for the provider's prompt "
            "cache, which makes the next request of a conversation cheaper."
        ),
    ] = True
    thinking: Annotated[
        Literal["off", "adaptive", "budget"],
        Meta(
            description="How a request's effort becomes thinking: `adaptive` for models that decide "
            "themselves how long they think, `budget` for older models, `off` for no thinking."
        ),
    ] = "off"
