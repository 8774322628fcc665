"""What the CLI reports as failed, as an error of whose fault it is. Pure.

The CLI reports every failure as a ``result`` of subtype "success" with ``is_error``, the upstream's status
where there was one, and prose. Served as content it would be an answer with an error message in it.
"""

from __future__ import annotations

import math

from claude_max_proxy import (
    ContextLengthExceeded,
    NotFound,
    NotLoggedIn,
    Overloaded,
    ProxyError,
    RateLimited,
    UpstreamFailed,
    UpstreamRefused,
    UsageLimitReached,
)
from claude_max_proxy.backends.claude_cli.protocol import Line, RateLimitInfo


LOGIN = "run `claude auth login` as the user who runs the proxy, or set CLAUDE_CODE_OAUTH_TOKEN"
_OVERLOADED = frozenset({503, 529})
_AUTHENTICATION = frozenset({401, 403})


def failure(result: Line, limit: RateLimitInfo | None, now: float) -> ProxyError:
    """Classify a failed result; ``limit`` is the newest rate limit event, ``now`` seconds since the epoch."""
    status, text = result.api_error_status, result.result.strip() or "no reason was given"
    lower = text.lower()
    if status in _AUTHENTICATION or (status is None and "not logged in" in lower):
        return NotLoggedIn(f"Claude Code is not logged in, or its login was refused ({text}); {LOGIN}")
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
    """Say it in the provider's own words, which clients look for; the CLI leaves the numbers out."""
    detail = text.lower().partition("prompt is too long")[2].strip(" .:·")
    return f"prompt is too long: {detail or 'the input does not fit the context window of the model'}"
