"""The client's tools: their definitions for the API's body, and their names for the MCP channel. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from claude_max_proxy import File, Image, Request, Text, Tool, ToolResult
from claude_max_proxy.anthropic_messages import Block, ToolNames, is_blank, write_tool
from claude_max_proxy.backends.claude_cli.images import passes_unchanged
from claude_max_proxy.backends.claude_cli.protocol import RpcMessage


# The highest limit that the CLI accepts. It replaces a result that exceeds its tool's limit by a stub.
MAX_RESULT_CHARACTERS = 500_000
STRUCTURED_OUTPUT = "StructuredOutput"
_MAX_ERROR_CHARACTERS = 10_000
_OUTER_SPACE = re.compile(r"\A[\s\ufeff]|[\s\ufeff]\Z")
# The CLI still lists this tool under its older name.
_TOLD = {"Agent": "Task"}
# Every JavaScript object has these members, so 2.1.197 takes their names for tools that it knows.
_PROTOTYPE = "__proto__"
_EVERY_OBJECT_HAS = frozenset(
    {
        _PROTOTYPE,
        *("__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__"),
        *("constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable"),
        *("toLocaleString", "toString", "valueOf"),
    }
)
# The CLI has its own tools with these names, and leaves out a client's, or the input of its calls.
TAKEN = frozenset({STRUCTURED_OUTPUT, "ToolSearch", "ExitPlanMode"}) | _EVERY_OBJECT_HAS
# It takes white space from the ends of lines that its own tool `Write` would write.
_ENDS_OF_LINES = re.compile(r"[^\S\r\n]+(?=[\r\n\u2028\u2029]|\Z)")
_EDIT = frozenset({"file_path", "old_string", "new_string"})
_ANSWER = (
    "Give the answer to the user by calling this tool once, when everything is known that it needs. Its "
    "input is the whole answer; text outside the call is not seen."
)


def names_of(request: Request) -> ToolNames:
    """Map the names of the request's tools to names that the upstream and the CLI accept."""
    return ToolNames((tool.name for tool in request.tools), TAKEN)


def definitions(request: Request, names: ToolNames) -> list[Block]:
    """Return the client's tool definitions for the model, exactly as the client wrote them.

    They are put directly into the body of the request to the API. The CLI itself is only told the names, by
    :func:`serve`: it would cut long descriptions, change letters, drop fields, sort the tools, and leave out
    what it does not understand.
    """
    written = [write_tool(tool, names.upstream) for tool in request.tools]
    if request.response_schema is not None:
        written.append(_answer_tool(request))
    return written


def serve(message: RpcMessage, tools: Sequence[Block]) -> dict[str, Any]:
    """Return the result for a request of the MCP channel that is no tool call.

    ``tools`` are those that :func:`listed` returns.
    """
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
    """Return a tool's result in the form that MCP defines."""
    content: list[dict[str, Any]] = [
        {"type": "image", "data": part.data, "mimeType": part.media_type}
        if isinstance(part, Image)
        else {"type": "text", "text": part.text}
        for part in _shown(result)
        if not isinstance(part, File)  # a result with a file does not fit in band
    ]
    return {"content": content, "isError": result.is_error}


def fits_in_band(result: ToolResult) -> bool:
    """Return whether the CLI passes this result on unchanged.

    It replaces an empty or a long result by its own words, and cuts a long error. It trims the text of an
    error, joins its parts, and leaves out its images. And it scales large images down.
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
    """Count characters as the CLI does, in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


def is_sound(name: str, arguments: str) -> bool:
    """Return whether the CLI passes on a call with these arguments, and keeps the arguments unchanged.

    It answers a call by itself if the arguments are no object, and it loses a member called ``__proto__``. It
    rewrites some inputs of tools that are called as its own.
    """
    try:
        value = msgspec.json.decode(arguments or "{}")
        return isinstance(value, dict) and not (_names_the_prototype(value) or _is_rewritten(name, value))
    except (msgspec.DecodeError, RecursionError):
        return False


def _is_rewritten(name: str, value: dict[str, Any]) -> bool:
    """Return whether the CLI takes a call for one of its own tools', and changes its input in the history.

    It changes only the history that it keeps, and not one that it is given.
    """
    match name:
        case "Bash":
            return "\\\\;" in str(value.get("command"))
        case "Edit":
            return value.keys() == _EDIT
        case "Read":
            return isinstance(value.get("offset"), str) or isinstance(value.get("limit"), str)
        case "TaskOutput":
            return "task_id" in value and not value.keys() >= {"block", "timeout"}
        case "Write":
            return _ENDS_OF_LINES.search(str(value.get("content"))) is not None
        case _:
            return False


def _names_the_prototype(value: Any) -> bool:
    if isinstance(value, dict):
        return _PROTOTYPE in value or any(map(_names_the_prototype, value.values()))
    return isinstance(value, list) and any(map(_names_the_prototype, value))


def told_name(name: str) -> str:
    """Return the name under which the CLI lists a tool."""
    return _TOLD.get(name, name)


def listed(request: Request, names: ToolNames) -> list[Block]:
    """Return the tools that the CLI is told of on the MCP channel.

    Usually only their names are given, so that the CLI passes on every call. For an agent, the CLI writes the
    tools into the API's body itself, so it gets the whole definitions.
    """
    return [
        _listed(tool, names.upstream(tool.name), whole=request.agent is not None) for tool in request.tools
    ]


def _listed(tool: Tool, name: str, *, whole: bool) -> Block:
    return {
        "name": name,
        "description": (tool.description or "") if whole else "",
        "inputSchema": (whole and tool.parameters) or {"type": "object"},
        # The CLI calls several tools at the same time only if they change nothing. What really runs is up to
        # the client.
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
