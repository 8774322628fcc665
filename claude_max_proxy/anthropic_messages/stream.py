"""The events that the Messages API streams, as typed structs of the fields we read; others are ignored."""

from __future__ import annotations

from typing import Any

import msgspec


class Delta(msgspec.Struct):
    """A fragment of a block, or what only the end of a message tells."""

    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class ContentBlock(msgspec.Struct):
    """The beginning of a block; redacted thinking has only ``data``."""

    type: str = ""
    id: str = ""
    name: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    input: Any = None


class OutputDetails(msgspec.Struct):
    """What the output tokens were used for."""

    thinking_tokens: int | None = None


class ApiUsage(msgspec.Struct):
    """The numbers of tokens, as the API counts them; ``None`` if an event does not contain them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class ApiMessage(msgspec.Struct):
    """The beginning of a message."""

    model: str = ""
    usage: ApiUsage | None = None


class StreamEvent(msgspec.Struct):
    """One event of a stream."""

    type: str
    message: ApiMessage | None = None
    content_block: ContentBlock | None = None
    delta: Delta | None = None
    usage: ApiUsage | None = None
    error: Any = None
