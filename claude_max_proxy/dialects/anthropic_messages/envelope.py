"""Writes errors in the Messages API's envelope, with its types and statuses."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import ProxyError
from claude_max_proxy.errors import ContextLengthExceeded, Overloaded


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
# The tool runners of the SDKs try threads first. When they get this, they send the whole conversation each
# time.
_NO_THREADS = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
_TOO_LONG = "prompt is too long"


def status(error: ProxyError) -> int:
    """Return the API's HTTP status for an error; it has a special one for an overload."""
    return 529 if isinstance(error, Overloaded) else error.status


def envelope(error: ProxyError) -> dict[str, Any]:
    """Return an error in the API's envelope, to which we add ``code`` and ``param``."""
    message = error.message
    if isinstance(error, ContextLengthExceeded) and _TOO_LONG not in message:
        message = f"{_TOO_LONG}: {message}"  # clients of this API look for these words
    detail: dict[str, Any] = {"type": _TYPES.get(status(error), "api_error"), "message": message}
    if error.code:
        detail["code"] = error.code
    if error.param:
        detail["param"] = error.param
    if error.param == "thread":
        detail["details"] = _NO_THREADS
    return {"type": "error", "error": detail}
