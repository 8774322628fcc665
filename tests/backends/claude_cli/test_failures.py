"""What the CLI reports as failed, and whose fault it is."""

from __future__ import annotations

import pytest

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
from claude_max_proxy.backends.claude_cli.failures import failure
from claude_max_proxy.backends.claude_cli.protocol import Line, RateLimitInfo


NOW = 1_000_000.0
REJECTED = RateLimitInfo("rejected", NOW + 90.2)


def of(status: int | None, text: str, limit: RateLimitInfo | None = None) -> ProxyError:
    """The error that such a result stands for."""
    return failure(Line(type="result", is_error=True, api_error_status=status, result=text), limit, NOW)


@pytest.mark.parametrize(
    ("status", "text", "expected", "code"),
    [
        (401, "Invalid API key", NotLoggedIn, 401),
        (403, "forbidden", NotLoggedIn, 401),
        (None, "Not logged in · Please run /login", NotLoggedIn, 401),
        (400, "Prompt is too long", ContextLengthExceeded, 400),
        (None, "prompt is too long: 5 tokens > 4 maximum", ContextLengthExceeded, 400),
        (429, "API Error: rate limited", RateLimited, 429),
        (529, "overloaded_error", Overloaded, 503),
        (503, "try later", Overloaded, 503),
        (None, "API Error: Overloaded", Overloaded, 503),
        (404, "model: claude-x", NotFound, 404),
        (400, "messages: wrong", UpstreamRefused, 400),
        (413, "too large", UpstreamRefused, 400),
        (500, "internal", UpstreamFailed, 502),
        (None, "Connection error.", UpstreamFailed, 502),
        (None, "", UpstreamFailed, 502),
    ],
)
def test_kinds(status: int | None, text: str, expected: type[ProxyError], code: int) -> None:
    """A status and a text say what failed; the provider's own words are kept."""
    error = of(status, text)
    assert type(error) is expected
    assert error.status == code
    assert (text or "no reason was given").lower().removeprefix("prompt is too long") in error.message.lower()


def test_the_way_to_log_in_is_told() -> None:
    """Who is not logged in is told how to."""
    assert "claude auth login" in of(401, "x").message


def test_a_model_that_is_not_there() -> None:
    """An unknown model has the code that clients know."""
    error = of(404, "x")
    assert (error.code, error.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("limit", "kind", "retry_after"),
    [
        (None, RateLimited, 10),
        (RateLimitInfo("allowed", NOW + 90), RateLimited, 10),
        (RateLimitInfo("rejected"), RateLimited, 10),
        (REJECTED, UsageLimitReached, 91),
        (RateLimitInfo("rejected", NOW - 5), UsageLimitReached, 1),
    ],
)
def test_limits(limit: RateLimitInfo | None, kind: type[ProxyError], retry_after: int) -> None:
    """A plan that is used up says when it resets; any other limit is a matter of seconds."""
    error = of(429, "limit", limit)
    assert type(error) is kind
    assert error.retry_after == retry_after


def test_context_errors_keep_the_words_that_clients_look_for() -> None:
    """Clients compact a conversation when they read the provider's own words."""
    error = of(400, "API Error: prompt is too long: 210000 tokens > 200000 maximum")
    assert error.message.startswith("prompt is too long: 210000 tokens > 200000 maximum")
    assert (error.code, error.param) == ("context_length_exceeded", "messages")
