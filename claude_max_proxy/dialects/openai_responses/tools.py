"""Turns the tools of a request into functions, and remembers how the client knows each of them.

A function stays as it is. A custom tool, whose input is free text, becomes a function with one string. The
tools of a namespace become functions whose names begin with the namespace's name. Tools that only OpenAI can
run are left out if the model can answer without them, otherwise they are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from claude_max_proxy import InvalidRequest, Request, Tool, formats
from claude_max_proxy.dialects.openai_responses.free_text import INPUT
from claude_max_proxy.dialects.openai_responses.schemas import (
    TOOLS,
    CustomTool,
    FunctionTool,
    Grammar,
    NamespaceTool,
    Raw,
)


# Agents offer these in addition to their own tools, and work well without them.
_DISPENSABLE = ("web_search", "image_generation", "tool_search")


class Origin(msgspec.Struct, frozen=True):
    """How the client knows a tool."""

    name: str
    namespace: str | None = None
    custom: bool = False


Origins = dict[str, Origin]


def flat_name(name: str, namespace: str | None) -> str:
    """Return the name of the function that stands for a tool, which may be in a namespace."""
    if not namespace:
        return name

    return f"{namespace.removesuffix('__')}__{name}"


def read_tools(given: list[Raw], request: Request) -> Origins:
    """Add all tools to ``request``; return how the client knows each of them, by its function's name."""
    origins: Origins = {}
    for index, raw in enumerate(given):
        _read_tool(raw, f"tools[{index}]", None, request, origins)
    formats.refuse_duplicates(request.tools)
    return origins


def _read_tool(raw: Raw, path: str, namespace: str | None, request: Request, origins: Origins) -> None:
    kind = raw.get("type")
    schema = TOOLS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        _leave_out(kind, path, request)
        return

    tool = formats.convert(raw, schema, path, request.ignored)
    if isinstance(tool, NamespaceTool):
        if namespace is not None:
            raise formats.unsupported(f"{path}.type", "a namespace cannot stand inside another")
        for index, inner in enumerate(tool.tools):
            _read_tool(inner, f"{path}.tools[{index}]", tool.name, request, origins)
        return

    name = flat_name(tool.name, namespace)
    origins[name] = Origin(tool.name, namespace, isinstance(tool, CustomTool))
    request.tools.append(_function(tool, name, path))


def _leave_out(kind: Any, path: str, request: Request) -> None:
    """Name a tool as ignored that cannot run here; refuse it if the answer may need it."""
    if not isinstance(kind, str):
        raise InvalidRequest(f"{path}.type is missing or no text", param=f"{path}.type")
    needless = next((name for name in _DISPENSABLE if kind.startswith(name)), None)
    if needless is None:
        raise formats.unsupported(
            f"{path}.type",
            f"tools of type {formats.shown(kind)} run at OpenAI; offer a function or a custom tool instead",
        )

    request.ignore(f"tools.{needless}")


def _function(tool: FunctionTool | CustomTool, name: str, path: str) -> Tool:
    if isinstance(tool, FunctionTool):
        return Tool(name, tool.description, tool.parameters, tool.strict, path=path)

    hint = "The tool's whole input, as plain text."
    if isinstance(tool.format, Grammar):
        hint = f"{hint} It must match this {tool.format.syntax} grammar:\n{tool.format.definition}"
    parameters: Mapping[str, Any] = {
        "type": "object",
        "properties": {INPUT: {"type": "string", "description": hint}},
        "required": [INPUT],
        "additionalProperties": False,
    }
    return Tool(name, tool.description, dict(parameters), path=path)
