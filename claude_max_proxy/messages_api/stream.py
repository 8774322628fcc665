"""What the Messages API streams: typed structs of what is read, everything else tolerated."""

from __future__ import annotations

from typing import Any

import msgspec


class Delta(msgspec.Struct):
    """A fragment of a block, or what is known at the end of the message."""

    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class ContentBlock(msgspec.Struct):
    """The head of a block; ``data`` is all there is of redacted thinking."""

    type: str = ""
    id: str = ""
    name: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    input: Any = None


class OutputDetails(msgspec.Struct):
    """What output tokens were spent on."""

    thinking_tokens: int | None = None


class ApiUsage(msgspec.Struct):
    """Tokens, as the API counts them; ``None`` where an event does not speak of them."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class ApiMessage(msgspec.Struct):
    """The head of a message."""

    model: str = ""
    usage: ApiUsage | None = None


class StreamEvent(msgspec.Struct):
    """One event."""

    type: str
    message: ApiMessage | None = None
    content_block: ContentBlock | None = None
    delta: Delta | None = None
    usage: ApiUsage | None = None
    error: Any = None
