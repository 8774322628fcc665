"""Tools as the Messages API takes them: the client's, Anthropic's own, the one for the answer. Pure.

The API has no answers by schema for every model, so a structured answer is the input of a tool that the model
must call.
"""

from __future__ import annotations

import re
from typing import Any

from claude_max_proxy import BeyondModel, Request
from claude_max_proxy.messages_api import Block, ToolNames, abilities_of, write_tool


_INDEX = re.compile(r"\d+")


def names_of(request: Request) -> ToolNames:
    """Map the names of the client's tools to what the API takes."""
    return ToolNames((tool.name for tool in request.tools), _native_names(request))


def answer_tool(request: Request, model: str = "") -> str:
    """Return the name of the tool whose input is the structured answer; empty where there is none."""
    choice = request.tool_choice
    if (
        request.response_schema is None
        or not can_be_forced(model)
        or (_offers_tools(request) and choice.mode in {"required", "named"})
    ):
        return ""

    name, names = "answer", {*names_of(request).client, *_native_names(request)}
    while name in names:
        name += "_"
    return name


def can_be_forced(model: str) -> bool:
    """Tell whether a model can be made to call a tool."""
    abilities = abilities_of(model)
    return abilities is None or abilities.forced


def write_tools(request: Request, model: str, names: ToolNames) -> list[Block]:
    """Write every tool as the client did, in its order."""
    tools = [(tool.path, write_tool(tool, names.upstream)) for tool in request.tools]
    tools += [(path, dict(tool)) for path, tool in request.extra.get("anthropic_tools", {}).items()]
    written = [tool for _, tool in sorted(tools, key=lambda entry: _place(entry[0]))]
    if name := answer_tool(request, model):
        about = ["Give the answer.", request.response_format.name, request.response_format.description]
        description = "\n\n".join(filter(None, about))
        written.append({"name": name, "description": description, "input_schema": request.response_schema})
    return written


def write_tool_choice(request: Request, model: str, names: ToolNames) -> Block:
    """Write who decides about tools; raise :class:`BeyondModel` where the model cannot be forced."""
    choice = request.tool_choice
    if choice.mode in {"named", "required"} and not can_be_forced(model):
        raise BeyondModel(
            f'tool_choice: {model} cannot be made to call a tool; leave tool_choice at "auto" and ask for '
            "the call in the instructions, or choose another model",
            param="tool_choice",
        )
    if name := answer_tool(request, model):
        if not _offers_tools(request) or choice.mode == "none":
            return {"type": "tool", "name": name, "disable_parallel_tool_use": True}
        return {"type": "any", "disable_parallel_tool_use": True}  # one of the client's, or the answer

    match choice.mode:
        case "none":
            return {"type": "none"}
        case "named":
            written: Block = {"type": "tool", "name": names.upstream(choice.name)}
        case "required":
            written = {"type": "any"}
        case _:
            written = {"type": "auto"}
    if not choice.parallel:
        written["disable_parallel_tool_use"] = True
    return written


def _offers_tools(request: Request) -> bool:
    return bool(request.tools or request.extra.get("anthropic_tools"))


def _native_names(request: Request) -> list[str]:
    native: list[dict[str, Any]] = list(request.extra.get("anthropic_tools", {}).values())
    return [str(tool["name"]) for tool in native]


def _place(path: str) -> list[int]:
    """Return where a tool stood in the client's list; those that a plugin added come first."""
    return [int(number) for number in _INDEX.findall(path)]
