"""Sets marks for the provider's prompt cache, at the ends of what the next request will repeat. Pure."""

from __future__ import annotations

from typing import Any


_MARK = {"type": "ephemeral"}
_MOST = 4  # the API's limit for one request


def mark(body: dict[str, Any]) -> None:
    """Mark the ends of the newest message, the system prompt and the tools in ``body``, in place.

    If the client has marked tools itself, its marks stay, and we only add as many as the API still allows.
    """
    tools = body.get("tools", [])
    own = sum("cache_control" in tool for tool in tools)
    content = body["messages"][-1]["content"]
    # Blocks of thinking cannot be marked.
    ends = [block for block in content if "thinking" not in block["type"]][-1:]
    ends += body.get("system", [])[-1:]
    ends += [] if own else tools[-1:]
    for block in ends[: max(0, _MOST - own)]:
        block["cache_control"] = _MARK
