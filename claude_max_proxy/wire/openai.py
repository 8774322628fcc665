"""What OpenAI's APIs have in common: the error envelope, refusals of parameters, tools and their choice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from claude_max_proxy.errors import InvalidRequest, ProxyError
from claude_max_proxy.request import Request, Tool, ToolChoice


# The schema of ``json_object``: any object at all.
ANY_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}


def envelope(error: ProxyError) -> dict[str, Any]:
    """Write a failure as OpenAI does."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


def unsupported(path: str, reason: str) -> InvalidRequest:
    """Refuse a parameter that would change the answer's meaning if it were dropped."""
    return InvalidRequest(f"{path} is not supported: {reason}", param=path, code="unsupported_parameter")


def refuse_duplicates(tools: Sequence[Tool], path: str) -> None:
    """Refuse two tools of one name in the list at ``path``."""
    seen = set()
    for index, tool in enumerate(tools):
        if tool.name in seen:
            raise InvalidRequest(
                f"{path}[{index}]: there are two tools named {tool.name!r}", param=f"{path}[{index}]"
            )
        seen.add(tool.name)


def require_tool(request: Request, path: str, *, parallel: bool) -> ToolChoice:
    """Let the model call a tool whatever it is asked; refuse that, said at ``path``, where there is none."""
    if not request.tools:
        raise InvalidRequest(f"{path}: a tool is required, but there are none that can be called", param=path)
    return ToolChoice("required", parallel=parallel)


def allow_tools(
    request: Request, names: Collection[str], mode: str | None, path: str, *, parallel: bool
) -> ToolChoice:
    """Leave only the tools of these ``names``; ``mode`` "required" lets the model call one of them.

    ``path`` is where the choice stands.
    """
    request.tools = [tool for tool in request.tools if tool.name in names]
    if mode == "required":
        return require_tool(request, path, parallel=parallel)
    return ToolChoice("auto", parallel=parallel)


def known_tool(name: str, names: Collection[str], path: str, said: object = None) -> str:
    """Return ``name`` if it is one of ``names``; else refuse it, as ``said`` at ``path``."""
    if name not in names:
        shown = name if said is None else said
        raise InvalidRequest(f"{path}: there is no tool named {shown!r}", param=path)
    return name
