"""Writes the client's tools for the Messages API, and refuses what the API would refuse. Pure.

What is refused here would also be refused by the API or, worse, the Claude Code CLI would leave the tool out
without saying so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from claude_max_proxy.anthropic_messages.blocks import Block, Rename
from claude_max_proxy.anthropic_messages.tool_names import LONGEST
from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.formats.json_schema import schema_problem
from claude_max_proxy.formats.quoting import shown
from claude_max_proxy.request import Request, Tool


# A tool without parameters gets an empty object; the API wants a schema that says so.
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
# As the API's own error says: "input_schema does not support oneOf, allOf, or anyOf at the top level".
_COMBINATORS = ("oneOf", "allOf", "anyOf")
# As the API's own error says: "Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'".
_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def write_tool(tool: Tool, tool_name: Rename = str) -> Block:
    """Return a tool's definition with everything that the client said about it, and nothing else.

    ``tool_name`` maps its name to one that the other side accepts.
    """
    written: Block = {"name": tool_name(tool.name)}
    if tool.description is not None:
        written["description"] = tool.description
    written["input_schema"] = tool.parameters or _NO_PARAMETERS
    if tool.strict is not None:
        written["strict"] = tool.strict
    return written | tool.fields


def check_tools(tools: Sequence[Tool]) -> None:
    """Raise :class:`InvalidRequest`, with path and name, for the first tool that the API would refuse."""
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        path = tool.path or f"tools[{index}]"
        problem = _problem(tool, seen)
        if problem:
            what = f"{path}: the tool {shown(tool.name)}"
            raise InvalidRequest(f"{what} {problem}", param=path, logged=f"{what} cannot be offered as it is")
        seen.add(tool.name)


def check_response_schema(request: Request) -> None:
    """Raise :class:`InvalidRequest` if the API would refuse the schema for the answer."""
    if request.response_schema is None:
        return

    if problem := _schema_problem(request.response_schema):
        path = request.response_format.path
        what = f"{path}: the provider would not take this schema"
        raise InvalidRequest.at(path, problem, code="invalid_schema", logged=what)


def _problem(tool: Tool, seen: set[str]) -> str:
    if tool.name in seen:
        return "is used twice; give each tool a name of its own"
    if not tool.name:
        return "has no name"
    if len(tool.name) > LONGEST:
        return f"has a name of {len(tool.name)} characters; at most {LONGEST} can be sent"

    problem = _schema_problem(tool.parameters) if tool.parameters else ""
    return f"cannot be offered with its parameters: {problem}" if problem else ""


def _schema_problem(schema: dict[str, Any]) -> str:
    if schema.get("type") != "object":
        return f'the type at the root must be "object", not {shown(schema.get("type"))}'
    for name in _COMBINATORS:
        if name in schema:
            return f"{name!r} may not stand at the root; the provider takes it further inside"
    if problem := schema_problem(schema):
        return f"this is no JSON schema of draft 2020-12: {problem}"
    for name in schema.get("properties", {}):
        if not _PROPERTY.fullmatch(name):
            return (
                f"the provider does not take a property of the name {shown(name)}; it takes up to 64 "
                "letters, digits, '_', '.' and '-'"
            )
    return ""
