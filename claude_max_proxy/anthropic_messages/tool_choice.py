"""The choice among tools in the Messages API, and the error for a model that accepts none. Pure."""

from __future__ import annotations

from claude_max_proxy.anthropic_messages.blocks import Block, Rename
from claude_max_proxy.capabilities.refusals import ADVICE
from claude_max_proxy.errors import BeyondModel
from claude_max_proxy.request import ToolChoice


_TYPES = {"none": "none", "auto": "auto", "required": "any", "named": "tool"}


def write_tool_choice(choice: ToolChoice, tool_name: Rename = str) -> Block:
    """Return the client's choice as the API has it; ``tool_name`` returns the upstream's name of a tool."""
    written: Block = {"type": _TYPES[choice.mode]}
    if choice.mode == "named":
        written["name"] = tool_name(choice.name)
    if not choice.parallel and choice.mode != "none":
        written["disable_parallel_tool_use"] = True
    return written


def cannot_be_forced(model: str) -> BeyondModel:
    """Return the error for a request that forces a call of a tool on a model that always thinks."""
    return BeyondModel.at(
        "tool_choice", f"{model} always thinks and cannot be made to call a tool; {ADVICE['tool_choice']}"
    )
