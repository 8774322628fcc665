"""The settings of ``[backends.<name>]`` with ``type = "openai"``, besides those of all HTTP backends."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from claude_max_proxy.http_upstream import HttpSettings


# The parameters of the chat completions API for which a Request has no field.
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
    """Any server that speaks OpenAI's chat completions."""

    base_url: Annotated[
        str, Meta(description="The URL at which the API begins, with its `/v1` where the server has one.")
    ] = "https://api.openai.com/v1"
    include_usage: Annotated[
        bool,
        Meta(
            description="Ask for token counts in streamed answers. Turn it off for a server that refuses "
            "`stream_options`."
        ),
    ] = True
    max_tokens_field: Annotated[
        Literal["max_tokens", "max_completion_tokens"],
        Meta(
            description="What the server calls the limit of an answer: `max_tokens`, or "
            "`max_completion_tokens` as OpenAI's newer models want it."
        ),
    ] = "max_tokens"
    hand_back_reasoning: Annotated[
        bool,
        Meta(
            description="Send the thoughts of the model's earlier answers back as `reasoning_content`. Some "
            "servers need them in tool loops, others refuse them."
        ),
    ] = False
    lacks: Annotated[
        tuple[Honoured, ...],
        Meta(
            description='Parameters that the server refuses, as in `["seed"]`. They are not sent, and are '
            "refused or ignored as for any backend that does not know them. Empty means that the server "
            "knows them all."
        ),
    ] = ()
    extra_body: Annotated[
        dict[str, Any],
        Meta(
            description="Fields that are put into the body of every request. They replace fields of the same "
            "name."
        ),
    ] = msgspec.field(default_factory=dict)

    @property
    def honoured(self) -> frozenset[str]:
        """The names in ``Request.extra`` that the server honours."""
        return frozenset(get_args(Honoured)) - frozenset(self.lacks)
