"""What OpenAI's APIs have in common: the error envelope, refusals of parameters, tools by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claude_max_proxy.errors import InvalidRequest, ProxyError
from claude_max_proxy.request import Tool


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
