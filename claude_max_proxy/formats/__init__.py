"""What dialects share: decoding with errors that name a field's path, inline files, OpenAI's envelope.

Everything here is pure: functions take bytes and values, and return values.
"""

from claude_max_proxy.formats import tool_ids
from claude_max_proxy.formats.answer_schemas import checked_schema
from claude_max_proxy.formats.completion_usage import usage
from claude_max_proxy.formats.conversation import add_result, checked_result, not_text
from claude_max_proxy.formats.decoding import convert, decode
from claude_max_proxy.formats.documents import inline_document, inline_image, read_document, read_image
from claude_max_proxy.formats.names import ModelName
from claude_max_proxy.formats.openai import ANY_OBJECT, envelope, unsupported
from claude_max_proxy.formats.patterns import matches, wildcard_text
from claude_max_proxy.formats.quoting import listed, shown
from claude_max_proxy.formats.sse import Decoder as SseDecoder
from claude_max_proxy.formats.sse import Opening as SseOpening
from claude_max_proxy.formats.stop_sequences import read_stops
from claude_max_proxy.formats.tool_choice import allow_tools, known_tool, refuse_duplicates, require_tool
from claude_max_proxy.formats.unknown_fields import Schema


__all__ = [
    "ANY_OBJECT",
    "ModelName",
    "Schema",
    "SseDecoder",
    "SseOpening",
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
    "listed",
    "matches",
    "not_text",
    "read_document",
    "read_image",
    "read_stops",
    "refuse_duplicates",
    "require_tool",
    "shown",
    "tool_ids",
    "unsupported",
    "usage",
    "wildcard_text",
]
