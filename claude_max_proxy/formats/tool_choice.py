"""The client's choice among its tools, in any API: what it may ask for, and what is refused. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.formats.quoting import shown
from claude_max_proxy.request import Request, Tool, ToolChoice


def refuse_duplicates(tools: Sequence[Tool]) -> None:
    """Raise :class:`InvalidRequest`, with the path of the second, if two tools have the same name."""
    seen = set()
    for tool in tools:
        if tool.name in seen:
            raise InvalidRequest.at(tool.path, f"there are two tools named {shown(tool.name)}")
        seen.add(tool.name)


def require_tool(offered: Collection[object], path: str, *, parallel: bool) -> ToolChoice:
    """Return the choice that makes the model call one of the tools that are ``offered``.

    Raises :class:`InvalidRequest` if there is none. ``path`` is the place of the choice in the request.
    """
    if not offered:
        raise InvalidRequest.at(path, "a tool is required, but there are none that can be called")
    return ToolChoice("required", parallel=parallel)


def allow_tools(
    request: Request, names: Collection[str], mode: str | None, path: str, *, parallel: bool
) -> ToolChoice:
    """Remove all tools but those with these ``names``, and return the choice among them.

    With the ``mode`` "required", the model must call one of them. Raises :class:`InvalidRequest` if it must
    and there is none. ``path`` is the place of the choice in the request.
    """
    request.tools = [tool for tool in request.tools if tool.name in names]
    if mode == "required":
        return require_tool(request.tools, path, parallel=parallel)
    return ToolChoice("auto", parallel=parallel)


def known_tool(name: str, names: Collection[str], path: str, said: object = None) -> str:
    """Return ``name`` if it is one of ``names``; otherwise raise :class:`InvalidRequest` with ``path``.

    ``said`` is what the client wrote, if that is not the name itself.
    """
    if name not in names:
        told = shown(name if said is None else said)
        raise InvalidRequest.at(path, f"there is no tool named {told}")
    return name
