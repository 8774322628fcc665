"""Writes tools for the Messages API: the client's, Anthropic's own, and one for structured answers. Pure.

The API does not offer answers by schema for every model, so we ask for a structured answer as the input of a
tool that the model must call.
"""

from __future__ import annotations

import re
from typing import Any

from claude_max_proxy import Request
from claude_max_proxy.anthropic_messages import (
    Block,
    ToolNames,
    abilities_of,
    unforced,
    write_tool,
    write_tool_choice,
)


_INDEX = re.compile(r"\d+")


def names_of(request: Request) -> ToolNames:
    """Map the names of the client's tools to names that the API accepts."""
    return ToolNames((tool.name for tool in request.tools), _native_names(request))


def answer_tool(request: Request, model: str = "") -> str:
    """Return the name of the tool whose input is the structured answer, or an empty text if there is none."""
    choice = request.tool_choice
    if (
        request.response_schema is None
        or not can_be_forced(model)
        or (_offers_tools(request) and choice.forces)
    ):
        return ""

    name, names = "answer", {*names_of(request).client, *_native_names(request)}
    while name in names:
        name += "_"
    return name


def can_be_forced(model: str) -> bool:
    """Return whether a model can be made to call a tool."""
    abilities = abilities_of(model)
    return abilities is None or abilities.forced


def write_tools(request: Request, model: str, names: ToolNames) -> list[Block]:
    """Return all tools as the client wrote them and in its order, then the one for a structured answer."""
    tools = [(tool.path, write_tool(tool, names.upstream)) for tool in request.tools]
    tools += [(path, dict(tool)) for path, tool in request.extra.get("anthropic_tools", {}).items()]
    written = [tool for _, tool in sorted(tools, key=lambda entry: _place(entry[0]))]
    if name := answer_tool(request, model):
        about = ["Give the answer.", request.response_format.name, request.response_format.description]
        description = "\n\n".join(filter(None, about))
        written.append({"name": name, "description": description, "input_schema": request.response_schema})
    return written


def write_choice(request: Request, model: str, names: ToolNames) -> Block:
    """Return the choice among tools; it is the model's if it cannot be made to call one."""
    choice = request.tool_choice if can_be_forced(model) else unforced(request)
    if name := answer_tool(request, model):
        if not _offers_tools(request) or choice.mode == "none":
            return {"type": "tool", "name": name, "disable_parallel_tool_use": True}
        return {"type": "any", "disable_parallel_tool_use": True}  # one of the client's, or the answer

    return write_tool_choice(choice, names.upstream)


def _offers_tools(request: Request) -> bool:
    return bool(request.tools or request.extra.get("anthropic_tools"))


def _native_names(request: Request) -> list[str]:
    native: list[dict[str, Any]] = list(request.extra.get("anthropic_tools", {}).values())
    return [str(tool["name"]) for tool in native]


def _place(path: str) -> list[int]:
    """Return a key to sort tools by: their place in the client's list; those of plugins come first."""
    return [int(number) for number in _INDEX.findall(path)]
