"""Who has used how much of a plan's windows."""

from __future__ import annotations

import pytest

from claude_max_proxy import PlanWindow, Usage
from claude_max_proxy.observers.budgets.shares import Shares, weight


NOW, FIVE = 1_800_000_000.0, 18_000.0
EARLY = PlanWindow("five_hour", 0.2, "allowed", NOW + 3600, NOW - 60, FIVE)
WINDOW = PlanWindow("five_hour", 0.5, "allowed", NOW + 3600, NOW, FIVE)


def test_a_share() -> None:
    """How much a token uses follows from how the window fills while tokens are counted."""
    shares = Shares()
    assert shares.of("cron", "claude", WINDOW) is None
    assert shares.begin("claude", [EARLY]) == [("five_hour", NOW + 3600 - FIVE)]
    assert shares.begin("claude", [WINDOW]) == []
    shares.add("claude", ["cron"], 100)
    shares.add("claude", [], 200)
    shares.add("other", ["cron"], 500)
    assert shares.of("cron", "claude", EARLY) is None
    assert shares.of("cron", "claude", WINDOW) == pytest.approx(0.3 * 100 / 300)
    shares.load("claude", "five_hour", 100, {"cron": 50})
    assert shares.of("cron", "claude", WINDOW) == pytest.approx(0.3 * 150 / 300)


def test_not_more_than_all() -> None:
    """What several have used cannot be more than what is used, whatever the ledger knows."""
    shares = Shares()
    shares.begin("claude", [EARLY])
    shares.add("claude", ["me"], 100)
    shares.load("claude", "five_hour", 900, {"cron": 900})
    assert shares.of("cron", "claude", WINDOW) == pytest.approx(0.5 * 0.9)


def test_a_reset() -> None:
    """A count begins again with a reset, which seconds of difference are not, if the window has a length."""
    shares = Shares()
    shares.begin("claude", [WINDOW])
    shares.add("claude", ["cron"], 100)
    assert shares.begin("claude", [PlanWindow("five_hour", 0.6, "", NOW + 3650, NOW, FIVE)]) == []
    assert shares.begin("claude", [PlanWindow("tokens", 0.6, "", NOW + 60, NOW)]) == []
    later = PlanWindow("five_hour", 0.1, "", NOW + 3600 + FIVE, NOW, FIVE)
    assert shares.begin("claude", [later]) == [("five_hour", NOW + 3600)]
    assert shares.of("cron", "claude", later) is None


def test_weights() -> None:
    """Tokens count as their prices stand to one another."""
    assert weight(None) == 0
    assert weight(Usage(100, 10, 1000, 40)) == pytest.approx(100 + 50 + 100 + 50)
