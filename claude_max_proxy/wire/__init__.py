"""What dialects share: bodies decoded with errors that name their path, inline files, OpenAI's envelope.

Everything here is pure: bytes and values in, values out.
"""

from claude_max_proxy.wire.conversation import add_result, checked_result
from claude_max_proxy.wire.decoding import convert, decode
from claude_max_proxy.wire.documents import inline_document, inline_image, read_document, read_image
from claude_max_proxy.wire.openai import (
    ANY_OBJECT,
    allow_tools,
    envelope,
    known_tool,
    refuse_duplicates,
    require_tool,
    unsupported,
)
from claude_max_proxy.wire.schemas import checked_schema
from claude_max_proxy.wire.stops import read_stops
from claude_max_proxy.wire.unknown import Schema
from claude_max_proxy.wire.usage import usage


__all__ = [
    "ANY_OBJECT",
    "Schema",
    "add_result",
    "allow_tools",
    "checked_result",
    "checked_schema",
    "convert",
    "decode",
    "envelope",
    "inline_document",
    "inline_image",
    "known_tool",
    "read_document",
    "read_image",
    "read_stops",
    "refuse_duplicates",
    "require_tool",
    "unsupported",
    "usage",
]
