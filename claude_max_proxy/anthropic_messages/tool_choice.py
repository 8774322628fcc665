"""The choice among tools in the Messages API, also for a model that cannot be made to call one. Pure."""

from __future__ import annotations

from claude_max_proxy.anthropic_messages.blocks import Block, Rename
from claude_max_proxy.request import Request, ToolChoice


_TYPES = {"none": "none", "auto": "auto", "required": "any", "named": "tool"}


def write_tool_choice(choice: ToolChoice, tool_name: Rename = str) -> Block:
    """Return the client's choice as the API has it; ``tool_name`` returns the upstream's name of a tool."""
    written: Block = {"type": _TYPES[choice.mode]}
    if choice.mode == "named":
        written["name"] = tool_name(choice.name)
    if not choice.parallel and choice.mode != "none":
        written["disable_parallel_tool_use"] = True
    return written


def unforced(request: Request) -> ToolChoice:
    """Return the choice for a model that always thinks, and so cannot be made to call a tool.

    The model decides for itself, and the request says that its choice was ignored. Whether the answer has the
    call that the client insists on is checked when it has come.
    """
    choice = request.tool_choice
    if not choice.forces:
        return choice
    request.ignore("tool_choice")
    return ToolChoice("auto", parallel=choice.parallel)
