"""Requests per minute."""

from __future__ import annotations

import pytest

from claude_max_proxy.rate_limits import RateLimits


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def test_as_many_as_a_minute_has(clock: Clock) -> None:
    """So many requests are admitted in any sixty seconds; the next is told how long to wait."""
    rates = RateLimits(clock)
    assert [rates.take("me", 3) for _ in range(3)] == [0, 0, 0]
    clock.now += 20.5
    assert rates.take("me", 3) == 40
    clock.now += 39.5
    assert rates.take("me", 3) == 0


def test_a_window_slides(clock: Clock) -> None:
    """Each request makes room a minute later, not all at once."""
    rates = RateLimits(clock)
    for _ in range(2):
        assert rates.take("me", 2) == 0
        clock.now += 30
    assert rates.take("me", 2) == 0
    assert rates.take("me", 2) == 30


def test_a_refusal_does_not_count(clock: Clock) -> None:
    """Asking too often does not lengthen the wait, which is never less than a second."""
    rates = RateLimits(clock)
    assert rates.take("me", 1) == 0
    clock.now += 59.9
    assert [rates.take("me", 1) for _ in range(5)] == [1] * 5
    clock.now += 0.2
    assert rates.take("me", 1) == 0


def test_each_counts_alone(clock: Clock) -> None:
    """The requests of one name do not count for another."""
    rates = RateLimits(clock)
    assert [rates.take(name, 1) for name in ("a", "b", "a", "b")] == [0, 0, 60, 60]


def test_a_limit_that_is_lowered(clock: Clock) -> None:
    """A lower limit counts the requests that were made before it."""
    rates = RateLimits(clock)
    for _ in range(5):
        rates.take("me", 10)
        clock.now += 1
    assert rates.take("me", 2) == 58
