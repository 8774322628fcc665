"""Marks for the provider's prompt cache: up to where the next request will be the same. Pure."""

from __future__ import annotations

from typing import Any


_MARK = {"type": "ephemeral"}
_MOST = 4  # in one request, as the API has it


def mark(body: dict[str, Any]) -> None:
    """Mark the ends of the newest message, the system prompt and the tools, in place.

    Where the client marked tools itself, its marks stay, and ours are as many as still fit.
    """
    tools = body.get("tools", [])
    own = sum("cache_control" in tool for tool in tools)
    ends = []
    if body["messages"]:
        content = body["messages"][-1]["content"]
        ends += [block for block in content if "thinking" not in block["type"]][-1:]  # which take no mark
    ends += body.get("system", [])[-1:]
    ends += [] if own else tools[-1:]
    for block in ends[: max(0, _MOST - own)]:
        block["cache_control"] = _MARK
