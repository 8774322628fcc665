"""Errors of APIs, in all their forms."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from claude_max_proxy import NotFound, ProxyError, RateLimited, UsageLimitReached
from claude_max_proxy.errors import (
    ContextLengthExceeded,
    NotLoggedIn,
    Overloaded,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from claude_max_proxy.http_upstream import upstream_error
from claude_max_proxy.http_upstream.failures import failure, report_body, retry_after


def openai(message: str, code: str | None = None, type_: str = "invalid_request_error") -> dict[str, Any]:
    """Return an error in OpenAI's envelope."""
    return {"error": {"message": message, "type": type_, "param": "messages[0]", "code": code}}


def anthropic(type_: str, message: str) -> dict[str, Any]:
    """Return an error in Anthropic's envelope."""
    return {"type": "error", "error": {"type": type_, "message": message}}


CASES: list[tuple[int, Any, type[ProxyError], str]] = [
    (400, openai("too much", "context_length_exceeded"), ContextLengthExceeded, "too much"),
    (400, openai("This model's maximum context length is 8192 tokens"), ContextLengthExceeded, "8192"),
    (400, anthropic("invalid_request_error", "prompt is too long: 9 > 8"), ContextLengthExceeded, "9 > 8"),
    (400, openai("bad schema"), UpstreamRefused, "the provider refused the request: bad schema"),
    (422, {"detail": "no such field"}, UpstreamRefused, "no such field"),
    (413, anthropic("request_too_large", "too big"), UpstreamRefused, "too big"),
    (401, openai("Incorrect API key", "invalid_api_key"), NotLoggedIn, "check api_key of [backends.my]"),
    (403, openai("no access"), NotLoggedIn, "check api_key of [backends.my]"),
    (402, {"error": {"message": "no credits", "code": 402}}, UsageLimitReached, "no credits"),
    (400, anthropic("billing_error", "credit balance"), UsageLimitReached, "credit balance"),
    (404, {"error": "model 'x' not found"}, NotFound, "model 'x' not found"),
    (408, b"", UpstreamTimeout, "no reason was given"),
    (429, openai("slow down", "rate_limit_exceeded"), RateLimited, "rate limit: slow down"),
    (429, openai("pay", "insufficient_quota", "insufficient_quota"), UsageLimitReached, "usage limit: pay"),
    (503, b"<html>busy</html>", Overloaded, "busy"),
    (529, anthropic("overloaded_error", "Overloaded"), Overloaded, "Overloaded"),
    (500, openai("oops", None, "server_error"), UpstreamFailed, "oops"),
    (502, b"\xff", UpstreamFailed, "the provider failed"),
    (301, b"", UpstreamFailed, "check base_url of [backends.my]"),
    (400, [{"error": {"message": "in a list", "code": 400}}], UpstreamRefused, "in a list"),
    (400, {"object": "error", "message": "bare", "code": 400}, UpstreamRefused, "bare"),
]


@pytest.mark.parametrize(("status", "body", "kind", "text"), CASES)
def test_by_status(status: int, body: Any, kind: type[ProxyError], text: str) -> None:
    """The error that an answer becomes says whose fault it is, with the provider's message."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = failure(report_body(status, content), "my", 7)
    assert type(error) is kind
    assert text in error.message


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"error": {"type": "overloaded_error", "message": "m"}}, Overloaded),
        ({"error": {"code": 429, "message": "m"}}, RateLimited),
        ({"error": {"code": "rate_limit_exceeded", "message": "m"}}, RateLimited),
        (
            {"error": {"type": "invalid_request_error", "message": "prompt is too long"}},
            ContextLengthExceeded,
        ),
        ({"error": "plain"}, UpstreamFailed),
        ({"error": None}, UpstreamFailed),
        ({}, UpstreamFailed),
        (None, UpstreamFailed),
        (7, UpstreamFailed),
    ],
)
def test_in_the_middle(value: Any, kind: type[ProxyError]) -> None:
    """In a stream, the error's own code or name determines the status."""
    assert type(upstream_error(value, "my")) is kind


def test_what_the_error_carries() -> None:
    """The error has the wrong field, and the time to wait."""
    refused = failure(report_body(400, json.dumps(openai("bad")).encode()), "my")
    assert refused.param == "messages[0]"
    assert failure(report_body(429, b"{}"), "my", 7).retry_after == 7


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0.2", 1),
        ("-3", 0),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9),
        ("Thu, 01 Jan 2020 00:00:09 GMT", 0),
    ],
)
def test_retry_after(text: str, seconds: int | None) -> None:
    """Retry-After is read as seconds or as a date; anything else is ignored."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after({"retry-after": text}, now) == seconds
