"""Failures in the Messages API's own envelope: its types, its statuses."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import ContextLengthExceeded, Overloaded, ProxyError


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# At this the SDKs' runners of tools, which try threads first, send the whole conversation each time.
_NO_THREADS = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
_TOO_LONG = "prompt is too long"


def status(error: ProxyError) -> int:
    """Return the API's status; it has one of its own for an overload."""
    return 529 if isinstance(error, Overloaded) else error.status


def envelope(error: ProxyError) -> dict[str, Any]:
    """Write a failure; ``code`` and ``param`` stand beside what the API says itself."""
    message = error.message
    if isinstance(error, ContextLengthExceeded) and _TOO_LONG not in message:
        message = f"{_TOO_LONG}: {message}"  # the words that clients of this API look for
    detail: dict[str, Any] = {"type": _TYPES.get(status(error), "api_error"), "message": message}
    if error.code:
        detail["code"] = error.code
    if error.param:
        detail["param"] = error.param
    if error.param == "thread":
        detail["details"] = _NO_THREADS
    return {"type": "error", "error": detail}
