"""Turns a failure that an API reports into an error that says whose fault it is. Pure.

The form of the body differs from server to server: there are OpenAI's and Anthropic's envelopes, Ollama's
plain text, FastAPI's ``detail`` and vLLM's bare object. The words that matter are the same everywhere.
"""

from __future__ import annotations

import math
import re
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
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_TOO_LONG = (
    "context_length_exceeded",
    "prompt is too long",
    "maximum context length",
    "context length exceeded",
    "exceeds the available context size",  # llama.cpp
    "exceed context limit",
)
_USED_UP = ("insufficient_quota", "billing_error", "billing_hard_limit_reached")
# The statuses of errors in the middle of a stream, which have only a name.
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
    """The connection could not be made, or it ended before the answer did."""


class Report(msgspec.Struct, frozen=True):
    """What an API says about a failure.

    ``status`` is that of HTTP; ``name``, ``code`` and ``param`` are the error's type, code and parameter,
    where the API states them.
    """

    status: int
    text: str
    name: str = ""
    code: str = ""
    param: str | None = None


def report(value: Any, status: int = 0) -> Report:
    """Read an error's decoded JSON, in any of its forms.

    ``status`` is that of HTTP; if it is 0, the status comes from the error itself, or else is 500.
    """
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
    """Read the body of an answer with an error status."""
    try:
        return report(msgspec.json.decode(body), status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Report(status, _text(body.decode(errors="replace").strip()))


def failure(found: Report, backend: str, retry_after: int | None = None, request_id: str = "") -> ProxyError:
    """Return the error for what an API has reported, which says what to do about it.

    ``backend`` is the name of the backend's table. ``retry_after`` is in seconds. The message contains the
    provider's words, which may repeat the question, and only the client is shown them. The log gets the
    status, the error's name and code, and the provider's ``request_id``.
    """
    error = _classified(found, backend, retry_after)
    names = filter(_NAME.fullmatch, (found.name, found.code, request_id))
    error.logged = ", ".join([f"the provider answered {found.status}", *names])
    return error


def _classified(found: Report, backend: str, retry_after: int | None) -> ProxyError:
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
    """Return the error for one that comes in the middle of an answer, from its decoded JSON."""
    return failure(report(value), backend)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> int | None:
    """Return after how many seconds to try again, if the answer's ``retry-after`` header says so."""
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
