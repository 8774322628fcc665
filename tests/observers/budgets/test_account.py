"""The account of one budget: what has room, and what is refused with which numbers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import Message, Record, Request, Text, Usage
from claude_max_proxy.facts.budgets import BudgetFacts
from claude_max_proxy.facts.spending import BOUNDLESS, Spent, Standing
from claude_max_proxy.observers.budgets.account import Account, Cost
from claude_max_proxy.observers.budgets.estimates import Estimates
from claude_max_proxy.observers.budgets.periods import PERIODS, begin, end
from claude_max_proxy.observers.budgets.settings import Budget


NOON = dt.datetime(2026, 11, 29, 12, 30).timestamp()  # noqa: DTZ001  # budgets count in local time


def account(**limits: Any) -> Account:
    """Return the account of a budget with these limits."""
    return Account("the key 'cron'", Budget(**limits))


@pytest.mark.parametrize(
    ("limit", "used", "words", "wait"),
    [
        ({"tokens_per_hour": 100}, Cost(100), "100 of 100 tokens an hour", 1800),
        ({"tokens_per_day": 1000}, Cost(1234), "1,234 of 1,000 tokens a day", 41400),
        ({"dollars_per_day": 2.5}, Cost(5, 2.75), "$2.75 of $2.50 a day", 41400),
        ({"tokens_per_month": 1}, Cost(1), "1 of 1 tokens a month", 127800),
        ({"tokens_per_minute": 10}, Cost(30), "30 of 10 tokens a minute", 60),
    ],
)
def test_used_up(limit: dict[str, Any], used: Cost, words: str, wait: int) -> None:
    """A budget that is used up refuses everything, says the numbers, and when it begins again."""
    one = account(**limit)
    one.charge(used, NOON)
    refusal = one.refusal(Cost(), NOON)
    assert refusal is not None
    assert (refusal.words, refusal.retry_after, refusal.spent) == (words, wait, True)
    assert one.refusal(Cost(), NOON + wait) is None


def test_what_is_reserved() -> None:
    """What running requests may use is held back; when one ends, there is room."""
    one = account(tokens_per_day=100)
    for _ in range(2):
        assert one.refusal(Cost(40), NOON) is None
        one.reserve(Cost(40))
    refusal = one.refusal(Cost(40), NOON)
    assert refusal is not None
    assert not refusal.spent
    assert refusal.words == "0 used and 80 held for 2 running requests, of 100 tokens a day"
    one.release(Cost(40))
    one.charge(Cost(10), NOON)
    assert one.refusal(Cost(40), NOON) is None


def test_what_is_reserved_in_dollars() -> None:
    """What running requests may cost is held back as well, and there may be room again soon."""
    one = account(dollars_per_day=1.0)
    one.reserve(Cost(50, 0.8))
    assert one.refusal(Cost(50, 0.2), NOON) is None
    refusal = one.refusal(Cost(50, 0.21), NOON)
    assert refusal is not None
    assert (refusal.retry_after, refusal.spent) == (2, False)
    assert refusal.words == "$0.00 used and $0.80 held for one running request, of $1.00 a day"


def test_a_large_request_runs_alone() -> None:
    """A request that looks larger than what is left runs if nothing else does."""
    one = account(tokens_per_day=100, dollars_per_day=1.0)
    assert one.refusal(Cost(5000, 50.0), NOON) is None
    one.reserve(Cost(5000, 50.0))
    assert one.refusal(Cost(1), NOON) is not None


def test_the_minute_slides() -> None:
    """Tokens of the last sixty seconds count, and each second leaves by itself."""
    one = account(tokens_per_minute=100)
    for second in range(10):
        one.charge(Cost(10), NOON + second)
    refusal = one.refusal(Cost(), NOON + 10)
    assert refusal is not None
    assert refusal.retry_after == 50
    assert one.refusal(Cost(), NOON + 60) is None


def test_far_beyond_the_limit_of_a_minute() -> None:
    """There is room when less than the limit is left of the minute, not when the oldest second leaves."""
    one = account(tokens_per_minute=50)
    for second in range(10):
        one.charge(Cost(10), NOON + second)
    refusal = one.refusal(Cost(), NOON + 10)
    assert refusal is not None
    assert refusal.words == "100 of 50 tokens a minute"
    assert refusal.retry_after == 55
    assert one.refusal(Cost(), NOON + 10 + 54) is not None
    assert one.refusal(Cost(), NOON + 10 + 55) is None


def test_with_all_replicas() -> None:
    """What all replicas have used and hold decides in an account of its own; this one stays as it is."""
    one = account(tokens_per_minute=1000, tokens_per_day=100)
    standing = Standing({"day": Spent(70, 0.5)}, {0: 5, 59: 6, 60: 700}, Spent(20, 0.1), running=1)
    of_all = one.as_of(standing, NOON)
    assert of_all.used("day", NOON) == Cost(70, 0.5)
    assert of_all.used("month", NOON) == Cost()
    assert of_all.used_in_a_minute(NOON) == 11
    refusal = of_all.refusal(Cost(20), NOON)
    assert refusal is not None
    assert refusal.words == "70 used and 20 held for one running request, of 100 tokens a day"
    assert one.refusal(Cost(20), NOON) is None


@pytest.mark.parametrize(
    ("limits", "room"),
    [
        ({}, BOUNDLESS),
        ({"tokens_per_minute": 20}, Spent(2, BOUNDLESS.dollars)),
        ({"tokens_per_hour": 100, "tokens_per_day": 320}, Spent(10, BOUNDLESS.dollars)),
        ({"dollars_per_hour": 1.0, "dollars_per_day": 5.0}, Spent(BOUNDLESS.tokens, 0.25)),
        ({"tokens_per_hour": 35, "dollars_per_day": 2.0}, Spent(-5, -0.25)),
    ],
)
def test_the_room_of_all_replicas(limits: dict[str, Any], room: Spent) -> None:
    """The narrowest limit counts, for tokens and for dollars, less what is used and what is held."""
    used = {"hour": Spent(30, 0.5), "day": Spent(300, 2.0)}
    standing = Standing(used, {3: 8}, Spent(10, 0.25), running=1)
    assert account(**limits).room(standing, NOON) == room


def test_the_part_of_one_replica() -> None:
    """One of three replicas alone may use a third of a limit, less what it has counted, before and after."""
    one = account(tokens_per_day=90)
    one.charge(Cost(20), NOON)
    one.reserve(Cost(8))
    part = one.part(3)
    assert part.refusal(Cost(2), NOON) is None
    refusal = part.refusal(Cost(3), NOON)
    assert refusal is not None
    assert refusal.words == "20 used and 8 held for one running request, of 30 tokens a day"
    one.charge(Cost(10), NOON)
    assert part.used("day", NOON) == Cost(30)
    assert one.refusal(Cost(3), NOON) is None


def test_what_is_told_of_it() -> None:
    """Each limit is told on its own, with what is used of it, what is held, and when it begins again."""
    one = account(tokens_per_minute=50, tokens_per_hour=100, dollars_per_hour=2.0, dollars_per_day=5.0)
    one.charge(Cost(20, 1.0), NOON)
    one.reserve(Cost(8, 0.5))
    hour, day = NOON + 1800, NOON + 41400
    assert list(one.facts("key", "cron", NOON)) == [
        BudgetFacts("key", "cron", "tokens", "minute", 50, 20, 8),
        BudgetFacts("key", "cron", "tokens", "hour", 100, 20, 8, hour),
        BudgetFacts("key", "cron", "dollars", "hour", 2.0, 1.0, 0.5, hour),
        BudgetFacts("key", "cron", "dollars", "day", 5.0, 1.0, 0.5, day),
    ]


def test_what_was_used_before() -> None:
    """What the ledger knows counts for its period, and not for one that has begun since."""
    one = account(tokens_per_hour=100, tokens_per_day=1000)
    one.add("hour", begin("hour", NOON), Cost(100), NOON)
    one.add("day", begin("day", NOON - 86400), Cost(5000), NOON)
    assert one.used("hour", NOON) == Cost(100)
    assert one.used("day", NOON) == Cost()
    assert one.used("hour", NOON + 3600) == Cost()


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=80),
    st.integers(1, 20),
    st.integers(1, 1000),
)
def test_never_overrun_by_more_than_what_ran(
    requests: list[tuple[int, int]], parallel: int, limit: int
) -> None:
    """Whatever requests cost, and however many run, a limit is passed by what was running then at most."""
    one, running = account(tokens_per_day=limit), []
    for estimate, actual in requests:
        if one.refusal(Cost(estimate), NOON) is None:
            one.reserve(Cost(estimate))
            running.append((estimate, actual))
        if len(running) >= parallel:
            ran = sum(actual for _, actual in running)
            held, cost = running.pop(0)
            one.release(Cost(held))
            one.charge(Cost(cost), NOON)
            assert one.used("day", NOON).tokens <= limit + ran
    assert one.running == len(running)


@given(st.datetimes(dt.datetime(2000, 1, 2), dt.datetime(2100, 1, 1)))  # noqa: DTZ001
def test_periods(time: dt.datetime) -> None:
    """A time lies in its period, and the next period begins where this one ends."""
    now = time.timestamp()
    for period in PERIODS:
        assert begin(period, now) <= now < end(period, now)
        assert begin(period, end(period, now)) == end(period, now)


def test_estimates() -> None:
    """A request's length counts, and its answer as long as the model's answers are, or as it may be."""
    estimates = Estimates()
    request = Request("m", system="x" * 400, messages=[Message("user", [Text("y" * 800)])])
    assert estimates.of(request, "up") == (Usage(300, 1000), 300)
    for _ in range(50):
        estimates.learn(Record("m", upstream_model="up", usage=Usage(340, 80, 10)), 300)
    assert estimates.of(request, "up") == (Usage(350, 80), 300)
    request.max_tokens = 20
    assert estimates.of(request, "up")[0] == Usage(350, 20)
    request.path = "/v1/messages/count_tokens"
    assert estimates.of(request, "up") == (Usage(0, 0), 0)
    for number in range(2000):
        estimates.learn(Record("m", upstream_model=f"model {number}", usage=Usage(1, 1)), 0)
    assert len(estimates._averages) <= 500
