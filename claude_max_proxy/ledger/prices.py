"""What the same tokens cost by the provider's API, from the prices that come with the package genai-prices.

Nothing is asked over the network. The package takes half a second to import; only the ledger's thread does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from claude_max_proxy.events import Usage


if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation


_MILLION = 1_000_000
_HOUR = 3600


class Rates(msgspec.Struct, frozen=True):
    """What a token of each kind costs, in US dollars."""

    input: float
    output: float
    cache_read: float
    cache_write: float

    def price(self, usage: Usage) -> float:
        """Return the price of these tokens."""
        return (
            usage.input_tokens * self.input
            + usage.output_tokens * self.output
            + usage.cache_read_tokens * self.cache_read
            + usage.cache_write_tokens * self.cache_write
        )


def price_of(usage: Usage | None, models: Sequence[str], began: float) -> float | None:
    """Return the price in US dollars, by the first of these models that is known.

    Returns ``None`` if none is, or if there are no tokens. ``began`` is when they were used, in seconds since
    1970, because prices change.
    """
    if usage is None or not (usage.prompt_tokens or usage.output_tokens):
        return None

    hour = int(began // _HOUR)
    for model in filter(None, models):
        with contextlib.suppress(Exception):  # numbers that the library does not take have no price
            rates = _rates(model, hour)
            if rates == "by size":
                return _calculated(model, hour, *_counts(usage))
            if isinstance(rates, Rates):
                return rates.price(usage)
    return None


# The library takes a sixth of a millisecond for a price, which is more than all else that a row costs.
@lru_cache(maxsize=2048)
def _rates(model: str, hour: int) -> Rates | str:
    """Return what a token costs, "by size" if that depends on the prompt's size, or "unknown"."""
    try:
        calculation = _calculation(model, hour, 0, 0)
    except LookupError:
        return "unknown"
    if any(hasattr(price, "tiers") for price in vars(calculation.model_price).values()):
        return "by size"

    return Rates(
        _calculated(model, hour, _MILLION, 0) / _MILLION,
        _calculated(model, hour, 0, _MILLION) / _MILLION,
        _calculated(model, hour, _MILLION, 0, _MILLION) / _MILLION,
        _calculated(model, hour, _MILLION, 0, 0, _MILLION) / _MILLION,
    )


def _counts(usage: Usage) -> tuple[int, int, int, int]:
    return usage.prompt_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens


def _calculated(model: str, hour: int, prompt: int, output: int, read: int = 0, written: int = 0) -> float:
    return float(_calculation(model, hour, prompt, output, read, written).total_price)


def _calculation(
    model: str, hour: int, prompt: int, output: int, read: int = 0, written: int = 0
) -> PriceCalculation:
    """Ask the library; ``prompt`` includes what was read from and written to the cache."""
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    tokens = Tokens(
        input_tokens=prompt, output_tokens=output, cache_read_tokens=read, cache_write_tokens=written
    )
    return calc_price(tokens, model, genai_request_timestamp=datetime.fromtimestamp(hour * _HOUR, UTC))
