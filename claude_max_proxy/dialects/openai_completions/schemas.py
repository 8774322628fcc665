"""The body of ``POST /v1/completions``, as OpenAI documents it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from claude_max_proxy import formats


NonNegative = Annotated[int, msgspec.Meta(ge=0)]
Answers = Annotated[int, msgspec.Meta(ge=1, le=128)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]


class StreamOptions(formats.Schema):
    """Options for the stream."""

    include_usage: bool | None = None


class CompletionRequest(formats.Schema):
    """The whole body."""

    model: formats.ModelName
    prompt: str | list[str | int | list[int]]
    best_of: NonNegative | None = None
    echo: bool | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: NonNegative | bool | None = None
    max_tokens: NonNegative | None = None
    n: Answers | None = None
    presence_penalty: Penalty | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: str | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    user: Any = None
