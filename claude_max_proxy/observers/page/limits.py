"""What the view Now shows of budgets: how much is used and reserved, and when each begins again. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from claude_max_proxy.facts.budgets import BudgetFacts
from claude_max_proxy.observers.page import formatting


Level = Literal["", "warn", "bad"]
_FULL = 1000  # the width of the drawing
_HIGH = 0.9
_MOST = 24
_WRITTEN: dict[str, Callable[[float | None], str]] = {
    "tokens": formatting.count,
    "dollars": formatting.dollars,
}
_EVERY = {"minute": "in any minute", "hour": "an hour", "day": "a day", "month": "a month"}


class BudgetCard(msgspec.Struct, frozen=True):
    """One limit as it is drawn, in a drawing that is 1000 wide."""

    name: str
    kind: str
    share: float
    level: Level
    limit: str
    numbers: str
    drawn: str
    width: float
    reserved_width: float
    words: str = ""
    resets_at: float | None = None


def cards(found: Sequence[BudgetFacts]) -> list[BudgetCard]:
    """Return how the limits are drawn, in their order; of very many those of which most is used."""
    fullest = sorted(found, key=lambda one: -one.share)[:_MOST]
    least = fullest[-1].share if len(found) > _MOST else 0.0
    return [card(one) for one in found if one.share >= least][:_MOST]


def more(found: Sequence[BudgetFacts]) -> int:
    """Return how many limits :func:`cards` leaves out."""
    return max(0, len(found) - _MOST)


def card(facts: BudgetFacts) -> BudgetCard:
    """Return how one limit is drawn."""
    written = _WRITTEN[facts.unit]
    unit = " tokens" if facts.unit == "tokens" else ""
    limit = f"{written(facts.limit)}{unit} {_EVERY[facts.period]}"
    numbers = f"{written(facts.used)} used"
    if facts.reserved > 0:
        numbers += f", {written(facts.reserved)} reserved"
    width = _width(facts.share)
    return BudgetCard(
        name=facts.name,
        kind=facts.kind,
        share=facts.share,
        level=_level(facts),
        limit=limit,
        numbers=numbers,
        drawn=f"{formatting.share(facts.share)} of {limit}: {numbers}",
        width=width,
        reserved_width=round(_width((facts.used + facts.reserved) / facts.limit) - width, 1),
        words=_words(facts),
        resets_at=facts.resets_at,
    )


def _width(share: float) -> float:
    return round(_FULL * min(1.0, max(0.0, share)), 1)


def _level(facts: BudgetFacts) -> Level:
    if facts.share >= 1:
        return "bad"
    return "warn" if (facts.used + facts.reserved) / facts.limit >= _HIGH else ""


def _words(facts: BudgetFacts) -> str:
    """Return what is to be expected, if it is not that all goes on."""
    if facts.share >= 1:
        return "It is used up, so requests are refused"
    if facts.used + facts.reserved >= facts.limit:
        return "Running requests hold what is left, so others have to wait"
    return ""
