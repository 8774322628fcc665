"""Prices are those of the library, for any tokens, and nothing is asked over the network."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest
from genai_prices import Usage as Tokens
from genai_prices import calc_price

from claude_max_proxy import Usage
from claude_max_proxy.ledger.prices import price_of


NOON = 1_790_000_000 // 86_400 * 86_400 + 43_200.0
USAGES = [Usage(10, 20, 30, 40), Usage(1, 0), Usage(0, 1), Usage(300_000, 5, 0, 0), Usage(0, 0, 500_000, 9)]
MODELS = ["claude-opus-4-5", "claude-sonnet-4-5-20250929", "claude-haiku-4-5", "gpt-4o", "gemini-2.5-pro"]


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every attempt to connect fail the test."""

    def refuse(*_: object) -> None:
        raise AssertionError("something is asked over the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize("model", MODELS)
def test_a_price_is_the_librarys(model: str, usage: Usage) -> None:
    """What is added up from single tokens is what the library calculates, also where size matters."""
    tokens = Tokens(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    at = datetime.fromtimestamp(NOON, UTC)
    expected = float(calc_price(tokens, model, genai_request_timestamp=at).total_price)
    assert price_of(usage, ["", model], NOON) == pytest.approx(expected)
    assert expected > 0


def test_unknown_models_have_no_price() -> None:
    """A model that nobody knows has no price, and neither has a request without tokens."""
    assert price_of(Usage(10, 10), ["nobody's model", "echo"], NOON) is None
    assert price_of(Usage(0, 0), ["gpt-4o"], NOON) is None
    assert price_of(None, ["gpt-4o"], NOON) is None


def test_the_first_known_model_counts() -> None:
    """The model that answered decides; the client's name for it is the second choice."""
    usage = Usage(1000, 1000)
    assert price_of(usage, ["gpt-4o", "claude-opus-4-5"], NOON) == price_of(usage, ["gpt-4o"], NOON)
    assert price_of(usage, ["my-deployment", "gpt-4o"], NOON) == price_of(usage, ["gpt-4o"], NOON)


def test_numbers_that_cannot_be() -> None:
    """Whatever an upstream claims to have used, there is a number or none, and no exception."""
    for usage in (Usage(-5, -5), Usage(10**40, 1), Usage(1, 1, -(10**9))):
        assert isinstance(price_of(usage, ["gemini-2.5-pro"], NOON), float | None)
        assert isinstance(price_of(usage, ["gpt-4o"], NOON), float | None)
