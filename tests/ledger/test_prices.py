"""Prices are those of the library, for any tokens, and nothing is asked over the network."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest
from genai_prices import Usage as Tokens
from genai_prices import calc_price

from claude_max_proxy import Usage
from claude_max_proxy.ledger import prices
from claude_max_proxy.ledger.prices import price_of


NOON = 1_790_000_000 // 86_400 * 86_400 + 43_200.0
USAGES = [Usage(10, 20, 30, 40), Usage(1, 0), Usage(0, 1), Usage(300_000, 5, 0, 0), Usage(0, 0, 500_000, 9)]
# Around 200,000 tokens of a prompt, cached ones included, some models begin to cost more.
USAGES += [Usage(199_999, 7), Usage(200_000, 7), Usage(200_001, 7), Usage(200_002, 7)]
USAGES += [Usage(100_000, 7, 99_999, 1), Usage(100_000, 7, 99_999, 2), Usage(0, 7, 1, 200_000)]
MODELS = ["claude-opus-4-5", "claude-sonnet-4-5-20250929", "claude-haiku-4-5", "gpt-4o", "gemini-2.5-pro"]
SIZES = {"claude-sonnet-4-5": 200_000, "gemini-2.5-pro": 200_000}


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
    expected = by_library(model, usage)
    assert price_of(usage, ["", model], NOON) == pytest.approx(expected)
    assert expected > 0


@pytest.mark.parametrize(("model", "size"), SIZES.items())
def test_a_size_at_which_a_price_changes(model: str, size: int) -> None:
    """Around such a size, to the token, the price is the library's; and it does change there."""
    for prompt in (size - 1, size, size + 1):
        usage = Usage(prompt - 3, 11, 2, 1)
        assert price_of(usage, [model], NOON) == pytest.approx(by_library(model, usage))
    below, above = price_of(Usage(size, 0), [model], NOON), price_of(Usage(size + 1, 0), [model], NOON)
    assert below is not None
    assert above is not None
    assert above > 1.01 * below


def test_the_library_is_asked_once_for_a_model_and_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tokens are, no price is calculated again where only their number differs."""
    price_of(Usage(200_001, 7), ["claude-sonnet-4-5"], NOON)
    price_of(Usage(7, 7), ["claude-sonnet-4-5"], NOON)
    monkeypatch.setattr(prices, "_calculation", None)
    for usage in USAGES:
        assert price_of(usage, ["claude-sonnet-4-5"], NOON)


def by_library(model: str, usage: Usage) -> float:
    """Return the price that the library itself calculates."""
    tokens = Tokens(
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    at = datetime.fromtimestamp(NOON, UTC)
    return float(calc_price(tokens, model, genai_request_timestamp=at).total_price)


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
