"""Turns a failure that the CLI reports into an error that says whose fault it is. Pure.

The CLI reports every failure as a ``result`` of subtype "success" with ``is_error`` set, the upstream's
status if there was one, and a sentence for humans. If that were passed on as content, the client would take
the error message for the model's answer.
"""

from __future__ import annotations

import math

from claude_max_proxy import NotFound, ProxyError, RateLimited, UsageLimitReached
from claude_max_proxy.backends.claude_cli.protocol import Line, RateLimitInfo
from claude_max_proxy.errors import (
    ContextLengthExceeded,
    NotLoggedIn,
    Overloaded,
    UpstreamFailed,
    UpstreamRefused,
)


_LONGEST = 1000  # characters
_OVERLOADED = frozenset({503, 529})
_AUTHENTICATION = frozenset({401, 403})


def failure(result: Line, limit: RateLimitInfo | None, now: float) -> ProxyError:
    """Return the error for a failed result.

    ``limit`` is the newest rate limit event, if there was one; ``now`` is the time in seconds since the
    epoch. The message contains the provider's words, which may repeat the question. Only the client is shown
    them; the log gets another text.
    """
    status = result.api_error_status
    if status is None and "not logged in" in result.result.lower():
        return NotLoggedIn("Not logged in")

    error = _classified(result, limit, now)
    error.logged = f"the provider answered {status or 'with an error of no status'}"
    return error


def _classified(result: Line, limit: RateLimitInfo | None, now: float) -> ProxyError:
    status, text = result.api_error_status, result.result.strip()[:_LONGEST] or "no reason was given"
    lower = text.lower()
    if status in _AUTHENTICATION:
        return NotLoggedIn(f"the provider refused the login of Claude Code ({text})")
    if "prompt is too long" in lower:
        return ContextLengthExceeded(_too_long(text), param="messages")
    if status == 429:
        return _limited(text, limit, now)
    if status in _OVERLOADED or "overloaded" in lower:
        return Overloaded(f"the provider is overloaded: {text}", retry_after=5)
    if status == 404:
        return NotFound(
            f"the provider does not know this model: {text}", param="model", code="model_not_found"
        )
    if status is not None and 400 <= status < 500:
        return UpstreamRefused(f"the provider refused the request: {text}")

    return UpstreamFailed(f"the provider failed: {text}")


def _limited(text: str, limit: RateLimitInfo | None, now: float) -> ProxyError:
    if limit is None or limit.status != "rejected" or limit.resets_at is None:
        return RateLimited(f"rate limit: the provider asks for fewer requests ({text})", retry_after=10)

    retry_after = max(1, math.ceil(limit.resets_at - now))
    return UsageLimitReached(f"Claude usage limit reached: {text}", retry_after=retry_after)


def _too_long(text: str) -> str:
    """Return the message in the provider's own words, which clients look for; the CLI omits the numbers."""
    detail = text.lower().partition("prompt is too long")[2].strip(" .:·")
    return f"prompt is too long: {detail or 'the input does not fit the context window of the model'}"
