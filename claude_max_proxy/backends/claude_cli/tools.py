"""The client's tools: their definitions for the API's body, their names for the CLI's MCP channel. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from claude_max_proxy import File, Image, Request, Text, Tool, ToolResult
from claude_max_proxy.backends.claude_cli.images import passes_unchanged
from claude_max_proxy.backends.claude_cli.protocol import RpcMessage
from claude_max_proxy.messages_api import Block, ToolNames, is_blank, write_tool


# The most that the CLI grants; beyond a tool's limit it would hand the model a stub instead of the result.
MAX_RESULT_CHARACTERS = 500_000
STRUCTURED_OUTPUT = "StructuredOutput"
_MAX_ERROR_CHARACTERS = 10_000
_OUTER_SPACE = re.compile(r"\A[\s\ufeff]|[\s\ufeff]\Z")
# The CLI tells of its tools by their older names.
_TOLD = {"Agent": "Task"}
# The CLI means tools of its own by these, and leaves out a client's.
TAKEN = frozenset({STRUCTURED_OUTPUT, "ToolSearch"})
_ANSWER = (
    "Give the answer to the user by calling this tool once, when everything is known that it needs. Its "
    "input is the whole answer; what is said beside it is not seen."
)


def names_of(request: Request) -> ToolNames:
    """Map the names of the request's tools to what the upstream and the CLI take."""
    return ToolNames((tool.name for tool in request.tools), TAKEN)


def definitions(request: Request, names: ToolNames) -> list[Block]:
    """Write what the model is told of its tools: the client's definitions, as they were written.

    They reach the API in its body. The CLI itself only learns the names, in :func:`serve`: it would cut long
    descriptions, change letters, drop fields, sort the tools, and leave out what it does not understand.
    """
    written = [write_tool(tool, names.upstream) for tool in request.tools]
    if request.response_schema is not None:
        written.append(_answer_tool(request))
    return written


def serve(message: RpcMessage, tools: Sequence[Block]) -> dict[str, Any]:
    """Answer any request of the MCP channel but a tool's call; ``tools`` are those of :func:`listed`."""
    match message.method:
        case "initialize":
            version = message.params.protocol_version if message.params else ""
            return {
                "protocolVersion": version,
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "client", "version": "1"},
            }
        case "tools/list":
            return {"tools": tools}
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


def told_name(name: str) -> str:
    """Return the name under which the CLI tells that it has a tool."""
    return _TOLD.get(name, name)


def listed(request: Request, names: ToolNames) -> list[Block]:
    """Write the tools that the CLI lists: by name alone, so that it passes every call on.

    An agent's requests say to the API what the CLI makes of them, so there the definitions go this way.
    """
    return [
        _listed(tool, names.upstream(tool.name), whole=request.agent is not None) for tool in request.tools
    ]


def _listed(tool: Tool, name: str, *, whole: bool) -> Block:
    return {
        "name": name,
        "description": (tool.description or "") if whole else "",
        "inputSchema": (whole and tool.parameters) or {"type": "object"},
        # Only tools that change nothing are called at once; the client decides what really runs.
        "annotations": {"readOnlyHint": True},
        "_meta": {"anthropic/maxResultSizeChars": MAX_RESULT_CHARACTERS},
    }


def _answer_tool(request: Request) -> Block:
    form = request.response_format
    about = [_ANSWER, f"The answer is {form.name}." if form.name else "", form.description]
    return {
        "name": STRUCTURED_OUTPUT,
        "description": "\n\n".join(filter(None, about)),
        "input_schema": request.response_schema,
    }
