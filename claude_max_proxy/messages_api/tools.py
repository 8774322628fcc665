"""The client's tools as the Messages API has them, and what the API would refuse of them. Pure.

What is refused here the API refuses too, or, worse, the Claude Code CLI leaves the tool out and says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.json_schema import schema_problem
from claude_max_proxy.messages_api.blocks import Block, Rename
from claude_max_proxy.messages_api.tool_names import LONGEST
from claude_max_proxy.request import Request, Tool


# A tool without parameters takes an empty object; the API wants a schema that says so.
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}
# As the API's own error says: "input_schema does not support oneOf, allOf, or anyOf at the top level".
_COMBINATORS = ("oneOf", "allOf", "anyOf")
# As the API's own error says: "Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'".
_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_SHOWN = 80  # characters of what a client wrote


def write_tool(tool: Tool, tool_name: Rename = str) -> Block:
    """Write a tool's definition, with everything that the client said of it and nothing else.

    ``tool_name`` gives the name that the other side takes.
    """
    written: Block = {"name": tool_name(tool.name)}
    if tool.description is not None:
        written["description"] = tool.description
    written["input_schema"] = tool.parameters or _NO_PARAMETERS
    if tool.strict is not None:
        written["strict"] = tool.strict
    return written | tool.fields


def check_tools(tools: Sequence[Tool]) -> None:
    """Raise :class:`InvalidRequest` for the first tool that the API would refuse, by its path and name."""
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        path = tool.path or f"tools[{index}]"
        problem = _problem(tool, seen)
        if problem:
            raise InvalidRequest(f"{path}: the tool {tool.name[:_SHOWN]!r} {problem}", param=path)
        seen.add(tool.name)


def check_response_schema(request: Request) -> None:
    """Raise :class:`InvalidRequest` for an answer's schema that the API would refuse."""
    if request.response_schema is None:
        return

    if problem := _schema_problem(request.response_schema):
        path = request.response_format.path
        raise InvalidRequest(f"{path}: {problem}", param=path, code="invalid_schema")


def _problem(tool: Tool, seen: set[str]) -> str:
    if tool.name in seen:
        return "stands there twice; return each tool a name of its own"
    if not tool.name:
        return "has no name"
    if len(tool.name) > LONGEST:
        return f"has a name of {len(tool.name)} characters; at most {LONGEST} can be sent"

    problem = _schema_problem(tool.parameters) if tool.parameters else ""
    return f"cannot be offered with its parameters: {problem}" if problem else ""


def _schema_problem(schema: dict[str, Any]) -> str:
    if schema.get("type") != "object":
        return f'the type at the root must be "object", not {str(schema.get("type"))[:_SHOWN]!r}'
    for name in _COMBINATORS:
        if name in schema:
            return f"{name!r} may not stand at the root; the provider takes it further inside"
    if problem := schema_problem(schema):
        return f"this is no JSON schema of draft 2020-12: {problem}"
    for name in schema.get("properties", {}):
        if not _PROPERTY.fullmatch(name):
            return (
                f"the provider does not take a property of the name {name[:_SHOWN]!r}; it takes up to 64 "
                "letters, digits, '_', '.' and '-'"
            )
    return ""
