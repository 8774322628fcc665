"""The windows of a plan: what is kept of sightings, and the pace."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy.facts.plan_windows import PLAN, PlanWindow, PlanWindows, burn_rate, run_out


HOUR = 3600.0
FIVE = 5 * HOUR
NOW = 1_800_000_000.0
RESET = NOW + 2 * HOUR

shares = st.floats(0, 1.5)
steps = st.lists(st.tuples(st.floats(0, 600), st.floats(0, 0.05)), min_size=1, max_size=200)


def five_hour(used: float | None, at: float = NOW, resets_at: float | None = RESET) -> PlanWindow:
    """Return a sighting of the five-hour window."""
    return PlanWindow("five_hour", used, "allowed", resets_at, at)


def seen(*sightings: PlanWindow) -> PlanWindows:
    """Return what is kept after these sightings."""
    windows = PlanWindows()
    for sighting in sightings:
        windows.see(sighting)
    return windows


def only(windows: PlanWindows, now: float) -> PlanWindow:
    """Return the only window."""
    (window,) = windows.current(now)
    return window


@pytest.mark.parametrize(
    ("points", "now", "rate"),
    [
        ([], NOW, None),
        ([(NOW, 0.6)], NOW, 0.2),  # 60 % in the three hours since the window began
        ([(NOW - 600, 0.5), (NOW, 0.6)], NOW, 0.6),  # 10 % in ten minutes
        ([(NOW - 60, 0.5), (NOW, 0.6)], NOW, 0.2),  # a minute says nothing
        ([(NOW - 1800, 0.5), (NOW, 0.6)], NOW, 0.2),  # half an hour is a tenth of the window
        ([(NOW - 3600, 0.4), (NOW, 0.6)], NOW, 0.2),  # 10 % of the 20 % are taken as the last half hour's
        ([(NOW - 1800, 0.5), (NOW - 900, 0.6), (NOW, 0.6)], NOW, 0.2),
        ([(NOW - 3600, 0.1), (NOW - 1800, 0.6)], NOW, 0.0),  # nothing for half an hour
        ([(NOW - 1800, 0.6), (NOW, 0.59)], NOW, 0.0),  # rounding, not less use
    ],
)
def test_the_pace(points: list[tuple[float, float]], now: float, rate: float | None) -> None:
    """The pace is that of the last half hour of a five-hour window, or of as much as was seen."""
    found = burn_rate(points, FIVE, RESET, now)
    assert found == (rate if rate is None else pytest.approx(rate))


@pytest.mark.parametrize(("length", "resets_at"), [(None, RESET), (FIVE, None), (FIVE, NOW + FIVE)])
def test_an_unknown_pace(length: float | None, resets_at: float | None) -> None:
    """Without a length, or at the beginning of what is known, there is no pace."""
    assert burn_rate([(NOW, 0.5)], length, resets_at, NOW) is None


@pytest.mark.parametrize(
    ("used", "rate", "resets_at", "out"),
    [
        (0.5, 0.5, RESET, NOW + HOUR),
        (0.5, 0.5, None, NOW + HOUR),
        (0.5, 0.25, RESET, None),  # at the very moment of the reset
        (0.5, 0.1, RESET, None),
        (1.0, 0.5, RESET, None),
        (1.2, 0.5, RESET, None),
        (None, 0.5, RESET, None),
        (0.5, None, RESET, None),
        (0.5, 0.0, RESET, None),
    ],
)
def test_the_run_out(
    used: float | None, rate: float | None, resets_at: float | None, out: float | None
) -> None:
    """A window runs out before its reset, or it does not run out."""
    assert run_out(used, rate, NOW, resets_at) == out


@given(steps, shares, st.integers(0, int(FIVE)))
def test_a_run_out_comes_before_the_reset(
    moves: list[tuple[float, float]], used: float, resets_in: float
) -> None:
    """Whatever was seen, a rate is never negative, and a run-out lies between now and the reset."""
    windows, at = PlanWindows(), NOW
    for later, more in moves:
        at, used = at + later, used + more
        windows.see(five_hour(used, at, NOW + resets_in))
        window = only(windows, at)
        if at >= NOW + resets_in:
            assert (window.used, window.resets_at, window.rate, window.runs_out_at) == (None,) * 4
            continue
        assert window.used == used
        assert window.rate is None or window.rate >= 0
        if window.runs_out_at is not None and window.resets_at is not None:
            assert at < window.runs_out_at < window.resets_at


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=30), st.lists(st.floats(-59, 59), min_size=30))
def test_jitter_is_no_reset(shares_seen: list[float], jitter: list[float]) -> None:
    """Times of one reset that differ by seconds stay one time, and the history stays."""
    windows = PlanWindows()
    for index, used in enumerate(sorted(shares_seen)):
        windows.see(five_hour(used, NOW + index * 60, RESET + jitter[index]))
    at = NOW + len(shares_seen) * 60
    assert only(windows, at).resets_at == round(RESET + jitter[0])
    if len(shares_seen) > 4:
        grown = max(shares_seen) - min(shares_seen)
        expected = grown / (at - NOW) * HOUR
        assert only(windows, at).rate == pytest.approx(expected)


@pytest.mark.parametrize(
    "after",
    [
        five_hour(0.1, RESET + 60, RESET + FIVE),  # the time has come
        five_hour(0.9, NOW + 60, RESET + HOUR),  # another reset
        five_hour(0.1, NOW + 60),  # the provider has given a new allowance
    ],
)
def test_a_reset_clears_the_history(after: PlanWindow) -> None:
    """After a reset, only what was seen since then counts."""
    before = [five_hour(0.5 + step / 100, NOW - 3600 + step * 60) for step in range(30)]
    window = only(seen(*before, after), after.seen_at)
    assert (window.used, window.resets_at) == (after.used, after.resets_at)
    assert window.rate == only(seen(after), after.seen_at).rate


def test_a_window_that_was_reset_since() -> None:
    """When the time of the reset has come, nothing is known until the window is seen again."""
    windows = seen(five_hour(0.9), PlanWindow(PLAN, status="rejected", resets_at=RESET, seen_at=NOW))
    assert windows.current(RESET - 1)[0].used == 0.9
    assert windows.current(RESET) == (
        PlanWindow("five_hour", seen_at=NOW, length=FIVE),
        PlanWindow(PLAN, seen_at=NOW),
    )


def test_a_sighting_without_a_share() -> None:
    """What a sighting does not tell stays as it was; an older sighting changes nothing."""
    windows = seen(
        five_hour(0.7),
        PlanWindow("five_hour", None, "rejected", None, NOW + 60),
        PlanWindow("five_hour", 0.8, "", None, NOW + 120),
        PlanWindow("five_hour", 0.1, "allowed", RESET, NOW - 60),
    )
    window = only(windows, NOW + 120)
    assert (window.used, window.status, window.resets_at) == (0.8, "rejected", RESET)


@pytest.mark.parametrize("used", [-0.1, math.nan, math.inf])
@pytest.mark.parametrize("resets_at", [-1.0, math.inf, math.nan, 1e18])
def test_nonsense(used: float, resets_at: float) -> None:
    """Numbers that make no sense are not known."""
    window = only(seen(five_hour(used, NOW, resets_at)), NOW)
    assert (window.used, window.resets_at) == (None, None)


@given(st.lists(st.text(max_size=50), max_size=100))
def test_names_are_bounded(names: list[str]) -> None:
    """Only plain names are kept, since they get into headers, and not many of them."""
    windows = seen(*(PlanWindow(name, 0.5, seen_at=NOW) for name in [*names, *map(str, range(50))]))
    kept = [window.name for window in windows.current(NOW)]
    assert len(kept) <= 32
    assert all(name.isascii() and name.replace("_", "").isalnum() for name in kept)


def test_the_history_is_bounded() -> None:
    """A window that is seen each second keeps its pace, and not more than sixty points."""
    windows = PlanWindows()
    for second in range(7000):
        windows.see(five_hour(second * 0.0001, NOW + second, NOW + FIVE))
    assert len(windows._points["five_hour"]) <= 60
    assert only(windows, NOW + 6999).rate == pytest.approx(0.36, rel=0.02)


def test_the_order_and_the_titles() -> None:
    """Shorter windows come first, and each has a name for people."""
    names = [PLAN, "tokens", "seven_day_opus", "seven_day", "five_hour", "input_tokens"]
    windows = seen(*(PlanWindow(name, 0.5, seen_at=NOW) for name in names)).current(NOW)
    assert [window.title for window in windows] == [
        "five-hour window",
        "seven-day window",
        "seven-day window (opus)",
        "limit of input tokens",
        "plan",
        "limit of tokens",
    ]
