"""What OpenAI's APIs have in common: the envelope of errors, and refused parameters."""

from __future__ import annotations

from typing import Any

from claude_max_proxy.errors import InvalidRequest, ProxyError


# The schema that ``json_object`` stands for: any object.
ANY_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}


def envelope(error: ProxyError) -> dict[str, Any]:
    """Return an error in OpenAI's form."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


def unsupported(path: str, reason: str) -> InvalidRequest:
    """Return the error for a parameter that cannot be honoured, and whose loss would change the meaning."""
    return InvalidRequest(f"{path} is not supported: {reason}", param=path, code="unsupported_parameter")
