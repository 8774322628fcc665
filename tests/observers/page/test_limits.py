"""What the page shows of budgets."""

from __future__ import annotations

import msgspec
import pytest

from claude_max_proxy.facts.budgets import BudgetFacts
from claude_max_proxy.observers.page import limits


FACTS = BudgetFacts("key", "cron", "tokens", "day", 1000.0, 400.0, 100.0, 1_800_000_000.0)


def _with(**values: float) -> BudgetFacts:
    return msgspec.structs.replace(FACTS, **values)


def test_what_is_used_and_reserved() -> None:
    """The drawing has what is used and, after it, what is reserved; the words have the numbers."""
    card = limits.card(FACTS)
    assert (card.width, card.reserved_width) == (400.0, 100.0)
    assert card.limit == "1 k tokens a day"
    assert card.numbers == "400 used, 100 reserved"
    assert (card.level, card.words) == ("", "")
    money = limits.card(BudgetFacts("model", "*opus*", "dollars", "hour", 20.0, 0.004))
    assert money.limit == "$20.00 an hour"
    assert money.numbers == "$0.0040 used"


@pytest.mark.parametrize(
    ("used", "reserved", "level", "words"),
    [
        (890.0, 0.0, "", ""),
        (850.0, 60.0, "warn", ""),
        (850.0, 150.0, "warn", "hold what is left"),
        (1000.0, 0.0, "bad", "used up"),
        (1400.0, 900.0, "bad", "used up"),
    ],
)
def test_what_is_to_be_expected(used: float, reserved: float, level: str, words: str) -> None:
    """What is nearly full, held or used up is told; the drawing never leaves its frame."""
    card = limits.card(_with(used=used, reserved=reserved))
    assert card.level == level
    assert words in card.words
    assert 0 <= card.width <= card.width + card.reserved_width <= 1000


@pytest.mark.parametrize("shares", [[0.1] * 60, [0.9, *([0.0] * 59)], [index / 60 for index in range(60)]])
def test_very_many(shares: list[float]) -> None:
    """Of very many limits the fullest are shown, in their order, and the number of the others is told."""
    found = [_with(used=1000 * share) for share in shares]
    shown = [card.share for card in limits.cards(found)]
    assert len(shown) + limits.more(found) == len(found)
    assert sorted(shown) == pytest.approx(sorted(shares)[-len(shown) :])


def test_few() -> None:
    """Nothing is left out of a few."""
    assert limits.cards([]) == []
    assert (len(limits.cards([FACTS] * 3)), limits.more([FACTS] * 3)) == (3, 0)
