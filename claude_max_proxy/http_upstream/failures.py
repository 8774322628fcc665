"""What an API reports as failed, as an error of whose fault it is. Pure.

The body's form differs from server to server: OpenAI's and Anthropic's envelopes, Ollama's plain text,
FastAPI's ``detail``, vLLM's bare object. The words that matter are the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from claude_max_proxy.config import quoted
from claude_max_proxy.errors import (
    ContextLengthExceeded,
    NotFound,
    NotLoggedIn,
    Overloaded,
    ProxyError,
    RateLimited,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
    UsageLimitReached,
)


_TEXT_LIMIT = 1000
_TOO_LONG = (
    "context_length_exceeded",
    "prompt is too long",
    "maximum context length",
    "context length exceeded",
    "exceeds the available context size",  # llama.cpp
    "exceed context limit",
)
_USED_UP = ("insufficient_quota", "billing_error", "billing_hard_limit_reached")
# What an error in the middle of a stream is, where only its name says so.
_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "insufficient_quota": 429,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "api_error": 500,
    "server_error": 500,
    "overloaded_error": 529,
}


class ConnectionBroken(Exception):
    """The connection could not be made, or ended before the answer did."""


class Report(msgspec.Struct, frozen=True):
    """What an API says of a failure. ``status`` 0 is none that is known."""

    status: int
    text: str
    name: str = ""
    code: str = ""
    param: str | None = None


def report(value: Any, status: int = 0) -> Report:
    """Read an error's JSON, in any of its forms; a status in it counts only without one of HTTP."""
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(error, dict):
        return Report(status or 500, _text(error))

    name, code = _word(error.get("type")), _word(error.get("code"))
    text = error.get("message") or error.get("detail") or error
    param = error.get("param")
    stated = int(code) if code.isdecimal() else _STATUSES.get(code) or _STATUSES.get(name, 500)
    return Report(status or stated, _text(text), name, code, param if isinstance(param, str) else None)


def report_body(status: int, body: bytes) -> Report:
    """Read the body of an answer that is an error."""
    try:
        return report(msgspec.json.decode(body), status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Report(status, _text(body.decode(errors="replace").strip()))


def failure(found: Report, backend: str, retry_after: int | None = None) -> ProxyError:
    """Say whose fault it is, and what to do about it; ``backend`` is the name of its table."""
    status, text = found.status, found.text or "no reason was given"
    words = f"{found.name} {found.code} {text}".lower()
    table = f"[backends.{quoted(backend)}]"
    if status in {400, 413, 422, 500} and any(phrase in words for phrase in _TOO_LONG):
        return ContextLengthExceeded(text, param="messages")
    if status in {401, 403}:
        return NotLoggedIn(f"the provider refused the key ({text}); check api_key of {table}")
    if status == 402 or (status in {400, 429} and any(phrase in words for phrase in _USED_UP)):
        return UsageLimitReached(f"usage limit: {text}; the account of {table} is out of quota or credit")
    if status == 404:
        return NotFound(
            f"the provider does not know this model: {text}; check it, and base_url of {table}",
            param="model",
            code="model_not_found",
        )
    if status == 408:
        return UpstreamTimeout(f"the provider gave up waiting: {text}", retry_after=retry_after)
    if status == 429:
        return RateLimited(f"rate limit: {text}", retry_after=retry_after)
    if status in {503, 529}:
        return Overloaded(f"the provider is overloaded: {text}", retry_after=retry_after)
    if 300 <= status < 400:
        return UpstreamFailed(f"the provider redirects elsewhere; check base_url of {table}")
    if 400 <= status < 500:
        return UpstreamRefused(f"the provider refused the request: {text}", param=found.param)

    return UpstreamFailed(f"the provider failed: {text}", retry_after=retry_after)


def upstream_error(value: Any, backend: str) -> ProxyError:
    """Classify an error that stands in the middle of an answer, from its JSON."""
    return failure(report(value), backend)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> int | None:
    """Read after how many seconds another try makes sense, where the answer's head says so."""
    text = headers.get("retry-after", "")
    try:
        return max(0, math.ceil(float(text)))
    except (ValueError, OverflowError):
        pass
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None

    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, math.ceil((at - (now or datetime.now(UTC))).total_seconds()))


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode() if value else ""
    return text[:_TEXT_LIMIT]


def _word(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else ""
