"""Who has used how much of a plan's windows."""

from __future__ import annotations

import pytest

from claude_max_proxy import PlanWindow, Usage
from claude_max_proxy.facts.spending import EVERYBODY, WindowUse
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


def test_what_was_used_elsewhere() -> None:
    """A window that fills while nothing is counted here is filled by somebody else: nobody has a share."""
    shares = Shares()
    shares.begin("claude", [EARLY])
    shares.load("claude", "five_hour", 100, {"cron": 100})
    assert shares.of("cron", "claude", WINDOW) is None


def test_too_many_windows() -> None:
    """However many windows a provider names, only so many are counted, and those still after a reset."""
    shares = Shares()
    named = [PlanWindow(f"window {number}", 0.2, "", NOW + 60, NOW, FIVE) for number in range(1000)]
    found = shares.begin("claude", named)
    assert found == [(window.name, NOW + 60 - FIVE) for window in named[: len(found)]]
    assert len(found) < 100
    later = [PlanWindow(window.name, 0.1, "", NOW + 60 + FIVE, NOW, FIVE) for window in named]
    assert shares.begin("claude", later) == [(name, NOW + 60) for name, _ in found]


def test_with_other_replicas() -> None:
    """What others have counted fills the window too, from the moment at which the first began to count."""
    shares = Shares()
    shares.begin("claude", [EARLY])
    shares.add("claude", ["cron"], 100)
    (one,) = shares.counted().values()
    assert one.name == "claude/five_hour"
    assert (one.start, one.base) == (NOW + 3600 - FIVE, 0.2)
    assert one.of == {EVERYBODY: 100, "cron": 100}
    others = WindowUse(0.1, 60.0, live=300, before=50, of={"cron": 60, "me": 290})
    shares.hear("claude", "five_hour", one.start - FIVE, others)
    assert shares.of("cron", "claude", WINDOW) == pytest.approx(0.3)
    shares.hear("claude", "five_hour", one.start, others)
    assert shares.of("cron", "claude", WINDOW) == pytest.approx(0.4 / 400 * 160)
    assert shares.of("me", "claude", WINDOW) == pytest.approx(0.4 / 400 * 290)


def test_weights() -> None:
    """Tokens count as their prices stand to one another."""
    assert weight(None) == 0
    assert weight(Usage(100, 10, 1000, 40)) == pytest.approx(100 + 50 + 100 + 50)
