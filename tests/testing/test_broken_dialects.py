"""What the conformance suite finds in broken dialects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from claude_max_proxy import (
    Event,
    InvalidRequest,
    NotFound,
    ProxyError,
    Request,
)
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_chat.writing import ChatWriter
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from claude_max_proxy.route import Route
from claude_max_proxy.testing.conformance import check_dialect
from tests.testing.conforming import CHAT, RESPONSES


class BrokenWriter:
    """A writer with one broken method."""

    def __init__(self, writer: Any, **broken: Any) -> None:
        self._writer, self._broken = writer, broken

    def __getattr__(self, name: str) -> Any:
        return self._broken.get(name) or getattr(self._writer, name)


class BrokenDialect(OpenAIChat):
    """The chat dialect, broken in one place."""

    def __init__(self, **broken: Any) -> None:
        self._writer = broken.pop("writer", None)
        self._writes = {name: broken.pop(name) for name in ("write", "whole", "keep_alive") if name in broken}
        for name, value in broken.items():
            setattr(self, name, value)

    def open(self, body: bytes) -> Any:
        exchange = super().open(body)
        exchange.writer = self._writer or BrokenWriter(exchange.writer, **self._writes)
        return exchange


def raises(error: Exception) -> Callable[..., Any]:
    """Return a function that only raises."""

    def fail(*_: Any) -> Any:
        raise error

    return fail


def opens(body: bytes) -> Exchange:
    """Accept any body."""
    return Exchange(Request("m"), ChatWriter("m"))


def refuses_without_a_field(body: bytes) -> Exchange:
    """Refuse without naming a field."""
    try:
        return OpenAIChat().open(body)
    except ProxyError as error:
        raise InvalidRequest(error.message) from error


def writes_once(event: Event) -> bytes:
    """Write nothing."""
    return b""


ONE = BrokenWriter(ChatWriter("m"))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"name": ""}, "has a name"),
        ({"routes": ()}, "has routes"),
        ({"routes": ("v1",)}, "begins with /"),
        ({"body": Request}, "is not what its samples are"),
        ({"open": opens}, "was taken|was read as"),
        ({"open": refuses_without_a_field}, "no field is named"),
        ({"open": lambda body: __import__("json").loads(body)}, "which is no Exchange"),
        ({"open": lambda body: Exchange(__import__("json").loads(body), ONE)}, "which is no Request"),
        ({"stats": print}, "did you mean 'status'"),
        ({"count_routes": ("/count",)}, "must be refused by a ClientError, not NotImplementedError"),
        ({"write": writes_once}, "streams as"),
        ({"whole": lambda reply: b"{}"}, "lacks the text"),
        ({"keep_alive": lambda: b""}, "must see something"),
        ({"error": lambda error: b"{}"}, "lacks"),
        ({"writer": ONE}, "writer of its own"),
    ],
)
def test_a_broken_dialect(broken: dict[str, Any], message: str) -> None:
    """A dialect that breaks a rule fails with that rule."""
    with pytest.raises(AssertionError, match=message):
        check_dialect(BrokenDialect(**broken), CHAT)


class BrokenMore(OpenAIResponses):
    """A dialect with further routes, whose parts a test replaces."""

    def __init__(self, routes: tuple[Route, ...] = (), resume: Any = None) -> None:
        """Be correct, except for the parts that are given."""
        super().__init__()
        self._routes, self._resume_by = routes, resume

    def open(self, body: bytes) -> Exchange:
        """Open the exchange that is given."""
        exchange = super().open(body)
        exchange.resume = self._resume_by or exchange.resume
        return exchange

    @property
    def further_routes(self) -> tuple[Route, ...]:
        """Return the part that is given."""
        return self._routes


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (BrokenMore((Route("GET", "things/{id}", raises(NotFound("no"))),)), "begins with /"),
        (BrokenMore((Route("GET", "/things/{id}", raises(KeyError("no"))),)), "refuse by a ClientError, not"),
        (BrokenMore((Route("GET", "/things/{id}", lambda call: b"null"),)), "answers b'null'"),
        (BrokenMore(resume=raises(KeyError("no"))), "refuse by a ClientError, not"),
        (BrokenMore(resume=raises(InvalidRequest("no"))), "no field is named"),
    ],
)
def test_a_dialect_with_more_that_is_broken(broken: Dialect, message: str) -> None:
    """Further routes and a memory have their own rules, and a broken rule is named."""
    with pytest.raises(AssertionError, match=message):
        check_dialect(broken, RESPONSES)


def test_a_dialect_that_crashes() -> None:
    """A body must be refused with one of our errors, whatever is wrong with it."""

    def crashing(body: bytes) -> Exchange:
        if b"m" not in body:
            raise ValueError(body[:9])
        return OpenAIChat().open(body)

    with pytest.raises(AssertionError, match="must be refused by a ClientError, not"):
        check_dialect(BrokenDialect(open=crashing), CHAT[:1])
