"""When there is a warning about a window, and what it says."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import PlanWindow
from claude_max_proxy.observers.meter.alarms import Alarms
from claude_max_proxy.observers.meter.words import clock, percent, sentence, span


HOUR = 3600.0
NOW = 1_800_014_400.0  # 2027-01-15, 12:00 UTC
THRESHOLDS = (0.75, 0.9, 0.95)
WINDOW = PlanWindow("five_hour", 0.5, "allowed", NOW + 5.5 * HOUR, NOW, 5 * HOUR)


@pytest.fixture(autouse=True)
def _in_utc() -> Iterator[None]:
    """Tell the times in UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def seen(**fields: object) -> PlanWindow:
    """Return the window with other facts."""
    return msgspec.structs.replace(WINDOW, **fields)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (seen(used=0.5), "the five-hour window is 50 % used; it resets at 17:30"),
        (
            seen(used=0.91, runs_out_at=NOW + 4 * HOUR + 40 * 60),
            (
                "the five-hour window is 91 % used; at this pace it runs out at 16:40, "
                "50 minutes before it resets at 17:30"
            ),
        ),
        (
            seen(used=1.02, status="rejected"),
            "the five-hour window is 102 % used, and the provider refuses requests; it resets at 17:30",
        ),
        (seen(used=None, resets_at=None), "the five-hour window is ? used"),
        (
            seen(name="seven_day_opus", used=0.999, resets_at=NOW + 48 * HOUR),
            "the seven-day window (opus) is 99 % used; it resets on Sunday at 12:00",
        ),
        (
            seen(name="seven_day", used=0.3, runs_out_at=NOW + 30 * HOUR, resets_at=NOW + 160 * HOUR),
            (
                "the seven-day window is 30 % used; at this pace it runs out on Saturday at 18:00, "
                "5 days 10 hours before it resets on 22 January at 04:00"
            ),
        ),
    ],
)
def test_the_words(window: PlanWindow, words: str) -> None:
    """A window is told in a sentence; when it runs out and when it resets are never mixed up."""
    assert sentence(window, NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (-5, "less than a minute"),
        (60, "1 minute"),
        (3599, "1 hour"),
        (7260, "2 hours 1 minute"),
        (90_000, "1 day 1 hour"),
        (86_460, "1 day 1 minute"),
    ],
)
def test_spans(seconds: float, words: str) -> None:
    """A length of time is told in its two largest units."""
    assert span(seconds) == words


def test_percent_and_clock() -> None:
    """A share is rounded down, so that 100 % means used up."""
    assert [percent(share) for share in (None, 0.999, 0.29, 1.0)] == ["?", "99 %", "29 %", "100 %"]
    assert clock(NOW, NOW) == "at 12:00"


def test_once_for_each_threshold() -> None:
    """Each threshold is warned of once, the highest alone if several are passed at once."""
    alarms, warned = Alarms(), []
    for used in (0.5, 0.74, 0.75, 0.8, 0.96, 0.97, 1.1):
        warned += alarms.due("claude", [seen(used=used)], THRESHOLDS, NOW)
    assert [line.partition(";")[0] for line in warned] == [
        "claude: the five-hour window is 75 % used",
        "claude: the five-hour window is 96 % used",
    ]


def test_again_after_a_reset() -> None:
    """Warnings begin again after a reset, which jitter is not; each backend and window counts by itself."""
    alarms = Alarms()

    def due(backend: str = "claude", **fields: object) -> int:
        return len(alarms.due(backend, [seen(used=0.8, **fields)], THRESHOLDS, NOW))

    reset = NOW + 5.5 * HOUR
    assert (due(), due(resets_at=reset + 59), due(resets_at=None), due(resets_at=reset - 59)) == (1, 0, 0, 0)
    assert (due(name="seven_day"), due("other")) == (1, 1)
    assert (due(resets_at=reset + 5 * HOUR), due(resets_at=reset + 5 * HOUR)) == (1, 0)


def test_pace_and_rejection() -> None:
    """The pace and a rejection are warned of once each, but not a burst at the beginning."""
    alarms = Alarms()

    def due(**fields: object) -> int:
        return len(alarms.due("claude", [seen(**fields)], THRESHOLDS, NOW))

    soon = NOW + HOUR
    assert due(used=0.1, runs_out_at=soon) == 0
    assert (due(used=0.4, runs_out_at=soon), due(used=0.5, runs_out_at=soon)) == (1, 0)
    assert (due(used=0.5, status="rejected"), due(used=0.5, status="rejected")) == (1, 0)
    assert due(used=0.9, length=None, name="tokens") == 0
    assert due(used=None, status="rejected") == 0


@given(st.lists(st.tuples(st.floats(0, 2), st.booleans(), st.sampled_from(["", "rejected"])), max_size=60))
def test_never_more_than_its_reasons(steps: list[tuple[float, bool, str]]) -> None:
    """Whatever a window does, there are at most as many warnings as reasons, until it is reset."""
    alarms, count = Alarms(), 0
    for used, out, status in steps:
        window = seen(used=used, status=status, runs_out_at=NOW + 60 if out else None)
        count += len(alarms.due("claude", [window], THRESHOLDS, NOW))
    assert count <= len(THRESHOLDS) + 2
