"""What the CLI reports as failed, and whose fault it is."""

from __future__ import annotations

import pytest

from claude_max_proxy import NotFound, ProxyError, RateLimited, UsageLimitReached
from claude_max_proxy.backends.claude_cli.failures import failure
from claude_max_proxy.backends.claude_cli.installation import Installation
from claude_max_proxy.backends.claude_cli.protocol import Line, RateLimitInfo
from claude_max_proxy.errors import (
    ContextLengthExceeded,
    NotLoggedIn,
    Overloaded,
    UpstreamFailed,
    UpstreamRefused,
)


NOW = 1_000_000.0
REJECTED = RateLimitInfo("rejected", NOW + 90.2)


def of(status: int | None, text: str, limit: RateLimitInfo | None = None) -> ProxyError:
    """Return the error that such a result becomes."""
    return failure(Line(type="result", is_error=True, api_error_status=status, result=text), limit, NOW)


@pytest.mark.parametrize(
    ("status", "text", "expected", "code"),
    [
        (401, "Invalid API key", NotLoggedIn, 401),
        (403, "forbidden", NotLoggedIn, 401),
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


def test_nobody_is_logged_in() -> None:
    """If the CLI adds advice, such as a command of its terminal chat, that is left out."""
    error = of(None, "Not logged in · Please run /login")
    assert type(error) is NotLoggedIn
    assert (error.status, error.message, error.logged) == (401, "Not logged in", "Not logged in")


def test_the_way_to_log_in_is_told() -> None:
    """If the CLI is not logged in, or its login is refused, the error and the log say how to log in."""
    installation = Installation(how_to_log_in="/bin/claude auth login")
    error = of(401, "x")
    assert isinstance(error, NotLoggedIn)
    advised = installation.not_logged_in(error)
    assert advised.message == "the provider refused the login of Claude Code (x). Run: /bin/claude auth login"
    assert advised.logged == "the provider answered 401. Run: /bin/claude auth login"


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
    """A used-up plan says when it resets; any other limit is over in seconds."""
    error = of(429, "limit", limit)
    assert type(error) is kind
    assert error.retry_after == retry_after


def test_context_errors_keep_the_words_that_clients_look_for() -> None:
    """The provider's own words are kept, since clients that read them compact the conversation."""
    error = of(400, "API Error: prompt is too long: 210000 tokens > 200000 maximum")
    assert error.message.startswith("prompt is too long: 210000 tokens > 200000 maximum")
    assert (error.code, error.param) == ("context_length_exceeded", "messages")
