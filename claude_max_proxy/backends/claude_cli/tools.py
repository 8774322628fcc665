"""The client's tools, served to the CLI over its in-band MCP channel. Pure.

The upstream takes tool names of ``[a-zA-Z0-9_-]{1,128}``; other names are mapped to such, kept apart, and
mapped back, so that the client and the model each see names that they can use.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from claude_max_proxy import File, Image, Text, Tool, ToolResult
from claude_max_proxy.backends.claude_cli.images import passes_unchanged
from claude_max_proxy.backends.claude_cli.protocol import RpcMessage
from claude_max_proxy.messages_api import is_blank


# The most that the CLI grants; beyond a tool's limit it would hand the model a stub instead of the result.
MAX_RESULT_CHARACTERS = 500_000
STRUCTURED_OUTPUT = "StructuredOutput"
_MAX_ERROR_CHARACTERS = 10_000
_OUTER_SPACE = re.compile(r"\A[\s\ufeff]|[\s\ufeff]\Z")
# The CLI means tools of its own by these, and leaves out a client's.
_TAKEN = frozenset({STRUCTURED_OUTPUT, "ToolSearch"})
_ALLOWED = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_NOT_ALLOWED = re.compile(r"[^a-zA-Z0-9_-]")


class Names:
    """The client's tool names and the upstream's, both ways; most are the same."""

    def __init__(self, tools: Sequence[Tool] = ()) -> None:
        """Map the names of ``tools``."""
        self.upstream: dict[str, str] = {}
        self.client: dict[str, str] = {}
        for tool in tools:
            mapped = upstream_name(tool.name)
            self.upstream[tool.name] = mapped
            self.client[mapped] = tool.name


def upstream_name(name: str) -> str:
    """Give the name that the upstream knows a client's tool by."""
    if _ALLOWED.fullmatch(name) and name not in _TAKEN:
        return name

    digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return f"{_NOT_ALLOWED.sub('_', name)[:119]}_{digest}"


def serve(message: RpcMessage, tools: Sequence[Tool], names: Names) -> dict[str, Any]:
    """Answer any request of the MCP channel but a tool's call."""
    match message.method:
        case "initialize":
            version = message.params.protocol_version if message.params else ""
            return {
                "protocolVersion": version,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "client", "version": "1"},
            }
        case "tools/list":
            return {"tools": [_listed(tool, names) for tool in tools]}
        case _:
            return {}


def call_result(result: ToolResult) -> dict[str, Any]:
    """Write a tool's result as MCP has it."""
    content: list[dict[str, Any]] = [
        {"type": "image", "data": part.data, "mimeType": part.media_type}
        if isinstance(part, Image)
        else {"type": "text", "text": part.text}
        for part in _shown(result)
        if not isinstance(part, File)  # which does not fit in band
    ]
    return {"content": content, "isError": result.is_error}


def fits_in_band(result: ToolResult) -> bool:
    """Tell whether the CLI passes this result on as it is.

    It puts words of its own in the place of an empty one, of a long one, and of a failure's that is long. It
    trims the text of a failure, joins its parts, and leaves its images out. It makes large images smaller.
    """
    parts = _shown(result)
    texts = [part.text for part in parts if isinstance(part, Text)]
    images = [part for part in parts if isinstance(part, Image)]
    if not parts or len(texts) + len(images) < len(parts):
        return False
    if result.is_error:
        return not images and len(texts) == 1 and _stays_in_an_error(texts[0])

    size = sum(map(_units, texts))
    return size <= MAX_RESULT_CHARACTERS and all(map(passes_unchanged, images))


def _shown(result: ToolResult) -> list[Text | Image | File]:
    return [part for part in result.parts if not isinstance(part, Text) or not is_blank(part.text)]


def _stays_in_an_error(text: str) -> bool:
    return _units(text) <= _MAX_ERROR_CHARACTERS and not _OUTER_SPACE.search(text)


def _units(text: str) -> int:
    """Count characters as the CLI does, in units of UTF-16."""
    return len(text.encode("utf-16-le")) // 2


def is_sound(arguments: str) -> bool:
    """Tell whether the CLI passes a call with these arguments on; one with others it answers by itself."""
    try:
        return isinstance(msgspec.json.decode(arguments or "{}"), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _listed(tool: Tool, names: Names) -> dict[str, Any]:
    return {
        "name": names.upstream[tool.name],
        "description": tool.description,
        "inputSchema": tool.parameters or {"type": "object", "properties": {}},
        # Only tools that change nothing are called at once; the client decides what really runs.
        "annotations": {"readOnlyHint": True},
        "_meta": {"anthropic/maxResultSizeChars": MAX_RESULT_CHARACTERS},
    }
