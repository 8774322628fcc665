"""The tools of a request: which function each becomes, and how a call of it is written again.

A function is itself. A custom tool, which takes free text, becomes a function of one string. A namespace's
tools become functions whose names begin with its name. Tools that only OpenAI could run are left out where
the model may answer without them, and refused otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from claude_max_proxy import InvalidRequest, Request, Tool, wire
from claude_max_proxy.dialects.openai_responses.free_text import INPUT
from claude_max_proxy.dialects.openai_responses.schemas import (
    TOOLS,
    CustomTool,
    FunctionTool,
    Grammar,
    NamespaceTool,
    Raw,
)


# Agents offer these beside tools of their own, and do well without.
_DISPENSABLE = ("web_search", "image_generation", "tool_search")


class Origin(msgspec.Struct, frozen=True):
    """How the client knows a tool."""

    name: str
    namespace: str | None = None
    custom: bool = False


Origins = dict[str, Origin]


def flat_name(name: str, namespace: str | None) -> str:
    """Return the name of a function that stands for a namespace's tool."""
    if not namespace:
        return name

    return f"{namespace.removesuffix('__')}__{name}"


def read_tools(given: list[Raw], request: Request) -> Origins:
    """Put every tool into ``request``; give how the client knows each, by its function's name."""
    origins: Origins = {}
    for index, raw in enumerate(given):
        _read_tool(raw, f"tools[{index}]", None, request, origins)
    return origins


def _read_tool(raw: Raw, path: str, namespace: str | None, request: Request, origins: Origins) -> None:
    kind = raw.get("type")
    schema = TOOLS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        _leave_out(kind, path, request)
        return

    tool = wire.convert(raw, schema, path, request.ignored)
    if isinstance(tool, NamespaceTool):
        if namespace is not None:
            raise wire.unsupported(f"{path}.type", "a namespace cannot stand inside another")
        for index, inner in enumerate(tool.tools):
            _read_tool(inner, f"{path}.tools[{index}]", tool.name, request, origins)
        return

    name = flat_name(tool.name, namespace)
    if name in origins:
        raise InvalidRequest(f"{path}: there are two tools named {name!r}", param=path)
    origins[name] = Origin(tool.name, namespace, isinstance(tool, CustomTool))
    request.tools.append(_function(tool, name, path))


def _leave_out(kind: Any, path: str, request: Request) -> None:
    """Leave out a tool that cannot be run here and is not needed for an answer, or refuse it."""
    if not isinstance(kind, str):
        raise InvalidRequest(f"{path}.type is missing or no text", param=f"{path}.type")
    needless = next((name for name in _DISPENSABLE if kind.startswith(name)), None)
    if needless is None:
        raise wire.unsupported(
            f"{path}.type", f"tools of type {kind!r} run at OpenAI; offer a function or a custom tool instead"
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
