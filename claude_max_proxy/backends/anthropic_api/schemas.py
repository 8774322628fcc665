"""What the Messages API streams: typed structs of what is read, everything else tolerated."""

from __future__ import annotations

from typing import Any

import msgspec


class OutputDetails(msgspec.Struct):
    """What became of the answer's tokens."""

    thinking_tokens: int | None = None


class ApiUsage(msgspec.Struct):
    """Tokens; ``None`` where an event does not speak of them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class ApiMessage(msgspec.Struct):
    """The head of an answer."""

    model: str = ""
    usage: ApiUsage | None = None


class ContentBlock(msgspec.Struct):
    """The head of a block."""

    type: str
    text: str | None = None
    thinking: str | None = None
    id: str = ""
    name: str = ""
    input: Any = None


class Delta(msgspec.Struct):
    """A fragment of a block, or what is known at the end of the answer."""

    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None


class StreamEvent(msgspec.Struct):
    """One event."""

    type: str
    message: ApiMessage | None = None
    content_block: ContentBlock | None = None
    delta: Delta | None = None
    usage: ApiUsage | None = None
    error: Any = None
