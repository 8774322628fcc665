"""The screen about the running proxy, from data."""

from __future__ import annotations

import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy.cli.status.screen import bar, brief, screen, size
from claude_max_proxy.facts.budgets import BudgetFacts
from claude_max_proxy.facts.plan_windows import PlanWindow
from claude_max_proxy.facts.processes import ProcessFacts
from claude_max_proxy.facts.replicas import ReplicaFacts
from claude_max_proxy.observers.meter.report import Failure, Report, Under


NOW = 1_800_014_400.0
HOUR = 3600.0
FULL = Report(
    NOW,
    "1.2.3",
    {"status": "degraded", "backends": {"claude": {"status": "degraded", "problem": "Not logged in"}}},
    {
        "claude": [
            PlanWindow("five_hour", 0.91, "warning", NOW + 2 * HOUR, NOW, 5 * HOUR, 0.3, NOW + HOUR),
            PlanWindow("seven_day", 0.12, "allowed", NOW + 80 * HOUR, NOW, 168 * HOUR, 0.01),
            PlanWindow("seven_day_opus", seen_at=NOW),
            PlanWindow("plan", None, "rejected", NOW + 2 * HOUR, NOW),
        ]
    },
    {"claude": [ProcessFacts(41, "parked", "opus", 7300, 45, 3, 180 * 1024**2, 1.25, "work")]},
    [Under("ab12", "opus", "claude", "me", "curl", "", 3.2, 0.5), Under("cd", "", "", "", "", "", 1, None)],
    [Failure(NOW - 60, "ef34", 429, "usage_limit_reached", "opus", "the plan is used up")],
    {"written": 7, "waiting": 1, "lost": 0, "away": ""},
    [
        BudgetFacts("key", "cron", "tokens", "day", 1_000_000, 410_000, 5, NOW + 5 * HOUR),
        BudgetFacts("model", "claude-*", "dollars", "hour", 2, 2.5, 0, NOW + HOUR),
        BudgetFacts("backend", "api", "tokens", "minute", 100, 0),
    ],
    [
        ReplicaFacts("a.example", "10.0.0.1:3456", "1.2.3", 7300, 0, 2, 3, here=True),
        ReplicaFacts("b.example", "", "1.2.3", 60, 2, 0, 0),
    ],
)


def texts(report: Report, width: int = 500) -> list[str]:
    """Return the lines of the screen."""
    return [line.text for line in screen(report, "http://127.0.0.1:3456", width)]


def test_a_busy_proxy() -> None:
    """Everything is there: windows with bars, pace and countdown, processes, requests, failures, ledger."""
    shown = "\n".join(texts(FULL))
    out = time.strftime("at %H:%M", time.localtime(NOW + HOUR))
    for words in (
        "claude-max-proxy 1.2.3 at http://127.0.0.1:3456: degraded",
        "claude: Not logged in",
        f"five-hour window         {'█' * 21}░░░   91 %  warning  resets in 2 hours  at this pace it",
        f"{out}, 1 hour before",
        "12 %  resets in 3 days 8 hours  1.0 % an hour",
        "seven-day window (opus)  not seen since its reset",
        "plan                     rejected  resets in 2 hours",
        "claude   41   parked  opus   2 h  45 s  3      180 MB  1.2 s  work",
        "opus   claude   3 s  0.5 s        me   curl     ab12",
        "429  opus  usage_limit_reached  the plan is used up",
        "7 written since the start, 1 waiting, 0 lost",
        f"key cron        {'█' * 9}{'░' * 15}   41 %  410,000 of 1,000,000 tokens a day  resets in 5 hours",
        f"model claude-*  {'█' * 24}  125 %  2.50 of 2.00 dollars an hour  resets in 1 hour",
        "a.example  10.0.0.1:3456  1.2.3    2 h   here     2         3",
        "b.example  -              1.2.3    60 s  2 s ago  0         0",
        f"backend api     {'░' * 24}    0 %  0 of 100 tokens a minute",
    ):
        assert words in shown, shown


def test_an_idle_proxy() -> None:
    """Where there is nothing, that is said."""
    empty = Report(NOW, "1.2.3", {"status": "ok"}, {}, {}, [], [], None)
    assert texts(empty) == [
        "claude-max-proxy 1.2.3 at http://127.0.0.1:3456: ok",
        "",
        "Plan",
        "  no answer has told yet how much of a plan is used",
        "",
        "Requests under way",
        "  none",
        "",
        "Last failures",
        "  none",
        "",
        "Ledger",
        "  switched off",
    ]


def test_colours() -> None:
    """A window is red near its end, yellow before that or when it runs out, and green otherwise."""
    colors = {line.text.split("  ")[2]: line.color for line in screen(FULL, "x", 500) if "    " in line.text}
    assert colors["five-hour window"] == "red"
    assert colors["seven-day window"] == "green"
    assert colors["plan"] == "red"


@pytest.mark.parametrize("width", [10, 40, 80, 120])
def test_the_width(width: int) -> None:
    """No line is wider than the terminal."""
    assert max(map(len, texts(FULL, width))) <= width


@given(st.text(max_size=50))
def test_hostile_text(text: str) -> None:
    """Whatever others wrote cannot move the cursor or add lines."""
    hostile = msgspec.structs.replace(
        FULL,
        underway=[Under(text, text, text, text, text, text, 1, None)],
        failures=[Failure(NOW, text, 500, text, text, text)],
        processes={text: [ProcessFacts(1, "warm", text, session=text)]},
    )
    lines = texts(hostile)
    assert len(lines) == len(texts(FULL)) - 1
    assert all(line.isprintable() for line in lines)


@given(st.floats(0, 3), st.integers(1, 50))
def test_bars(share: float, width: int) -> None:
    """A bar has its width, and is only full when all is used."""
    drawn = bar(share, width, fancy=False)
    assert len(drawn) == width
    assert ("-" not in drawn) == (share * width + 1e-9 >= width)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (brief(0.4), "0 s"),
        (brief(119), "119 s"),
        (brief(130), "2 min"),
        (brief(7300), "2 h"),
        (brief(200_000), "2 d"),
        (size(None), "-"),
        (size(900), "900 B"),
        (size(180 * 1024**2), "180 MB"),
    ],
)
def test_units(found: str, words: str) -> None:
    """Numbers have the unit that fits."""
    assert found == words
