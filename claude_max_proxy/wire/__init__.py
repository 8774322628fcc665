"""What dialects share: bodies decoded with errors that name their path, inline files, OpenAI's envelope.

Everything here is pure: bytes and values in, values out.
"""

from claude_max_proxy.wire.conversation import add_result, checked_result
from claude_max_proxy.wire.decoding import convert, decode
from claude_max_proxy.wire.documents import IMAGE_TYPES, read_document, read_image
from claude_max_proxy.wire.openai import ANY_OBJECT, envelope, refuse_duplicates, unsupported
from claude_max_proxy.wire.stops import read_stops
from claude_max_proxy.wire.usage import usage


__all__ = [
    "ANY_OBJECT",
    "IMAGE_TYPES",
    "add_result",
    "checked_result",
    "convert",
    "decode",
    "envelope",
    "read_document",
    "read_image",
    "read_stops",
    "refuse_duplicates",
    "unsupported",
    "usage",
]
