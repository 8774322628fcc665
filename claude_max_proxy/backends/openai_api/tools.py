"""Writes the client's tools for the chat completions API. Pure."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import Request, Tool
from claude_max_proxy.anthropic_messages import ToolNames


# The limit in OpenAI's API reference, in characters.
_LONGEST_NAME = 64
_MODES = {"none": "none", "required": "required"}


def names_of(request: Request) -> ToolNames:
    """Map the names of the client's tools to names that every server accepts."""
    return ToolNames((tool.name for tool in request.tools), longest=_LONGEST_NAME)


def add_tools(body: dict[str, Any], request: Request, names: ToolNames) -> None:
    """Add the tools and the choice among them to ``body``.

    A field that has the API's default value is left out, since not every server knows it. Fields of a tool
    that only the Messages API has are noted in the request as ignored.
    """
    body["tools"] = [_tool(tool, names) for tool in request.tools]
    for tool in request.tools:
        for field in tool.fields.keys() - {"type"}:
            request.ignore(f"tools.{field}")
    choice = request.tool_choice
    if choice.mode == "named":
        body["tool_choice"] = {"type": "function", "function": {"name": names.upstream(choice.name)}}
    elif choice.mode != "auto":
        body["tool_choice"] = _MODES[choice.mode]
    if not choice.parallel:
        body["parallel_tool_calls"] = False


def _tool(tool: Tool, names: ToolNames) -> dict[str, Any]:
    given = {"description": tool.description, "parameters": tool.parameters, "strict": tool.strict}
    said = {field: value for field, value in given.items() if value is not None}
    return {"type": "function", "function": {"name": names.upstream(tool.name), **said}}
