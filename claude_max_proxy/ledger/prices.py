"""What the same tokens cost by the provider's API, from the prices that come with the package genai-prices.

Nothing is asked over the network. The package takes half a second to import; only threads do that.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
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

    Returns ``None`` if none is, and for no tokens or for less than none. ``began`` is when they were used,
    in seconds since 1970, because prices change.
    """
    if usage is None or not (usage.prompt_tokens or usage.output_tokens):
        return None
    if min(usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens) < 0:
        return None

    hour = int(began // _HOUR)
    for model in filter(None, models):
        with contextlib.suppress(Exception):  # numbers that are too large have no price
            thresholds = _thresholds(model, hour)
            if thresholds is not None:
                crossed = bisect_left(thresholds, usage.prompt_tokens)
                return _rates(model, hour, crossed).price(usage)
    return None


# The library takes up to a third of a millisecond for a price, several times what all else of a row costs.
@lru_cache(maxsize=2048)
def _thresholds(model: str, hour: int) -> tuple[int, ...] | None:
    """Return the sizes of a prompt above which a token costs something else, in their order.

    There are none for most models. Returns ``None`` for a model that the library does not know.
    """
    try:
        calculation = _calculation(model, hour, 0, 0)
    except LookupError:
        return None

    prices = vars(calculation.model_price).values()
    return tuple(sorted({tier.start for price in prices for tier in getattr(price, "tiers", ())}))


@lru_cache(maxsize=2048)
def _rates(model: str, hour: int, crossed: int) -> Rates:
    """Return what a token costs in a prompt that is larger than the first ``crossed`` thresholds."""
    thresholds = _thresholds(model, hour) or ()
    prompt = thresholds[crossed - 1] + 1 if crossed else min((_MILLION, *thresholds))
    calculated = partial(_calculated, model, hour, prompt)
    plain = calculated(0)
    return Rates(
        input=plain / prompt,
        output=(calculated(_MILLION) - plain) / _MILLION,
        cache_read=calculated(0, prompt) / prompt,
        cache_write=calculated(0, 0, prompt) / prompt,
    )


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
