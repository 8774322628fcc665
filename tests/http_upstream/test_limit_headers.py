"""What the headers of an answer say about the provider's limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import PlanWindow
from claude_max_proxy.http_upstream.limit_headers import seconds_of, sightings


NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", NOW + 360),
        ("1s", NOW + 1),
        ("17ms", NOW + 0.017),
        ("1h2m3.5s", NOW + 3723.5),
        ("1d", NOW + 86400),
        ("59.5", NOW + 59.5),
        ("1800000060", NOW + 60),
        ("1800000060000", NOW + 60),
        ("2027-01-15T08:01:00Z", NOW + 60),
        ("2027-01-15T09:01:00+01:00", NOW + 60),
        ("2027-01-15T08:01:00", NOW + 60),
        ("soon", None),
        ("", None),
        ("6m0", None),
        ("nan", None),
    ],
)
def test_times(text: str, seconds: float | None) -> None:
    """A reset is a time in RFC 3339, a duration, or a number of seconds."""
    assert seconds_of(text, NOW) == (seconds if seconds is None else pytest.approx(seconds, abs=0.001))


@pytest.mark.parametrize(
    ("headers", "window"),
    [
        (
            {
                "anthropic-ratelimit-input-tokens-limit": "80000",
                "anthropic-ratelimit-input-tokens-remaining": "20000",
                "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:01:00Z",
            },
            PlanWindow("input_tokens", 0.75, "", NOW + 60, NOW),
        ),
        (
            {
                "anthropic-ratelimit-unified-7d_sonnet-utilization": "1.02",
                "anthropic-ratelimit-unified-7d_sonnet-reset": "1800000060",
                "anthropic-ratelimit-unified-7d_sonnet-status": "rejected",
            },
            PlanWindow("seven_day_sonnet", 1.02, "rejected", NOW + 60, NOW),
        ),
        (
            {
                "anthropic-ratelimit-unified-status": "allowed_warning",
                "anthropic-ratelimit-unified-reset": "1800000060",
                "anthropic-ratelimit-unified-representative-claim": "five_hour",
                "anthropic-ratelimit-unified-fallback-percentage": "0.5",
            },
            PlanWindow("plan", None, "warning", NOW + 60, NOW),
        ),
        (
            {
                "x-ratelimit-limit-tokens": "100",
                "x-ratelimit-remaining-tokens": "-3",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            PlanWindow("tokens", 1.03, "", NOW + 360, NOW),
        ),
        (
            {"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"},
            PlanWindow("requests", seen_at=NOW),
        ),
        ({"x-ratelimit-limit-requests": "many"}, PlanWindow("requests", seen_at=NOW)),
    ],
)
def test_limits(headers: dict[str, str], window: PlanWindow) -> None:
    """Each provider's headers tell of windows in their own way."""
    assert sightings(headers.items(), NOW) == [window]


@given(st.dictionaries(st.text(), st.text()))
def test_other_headers(headers: dict[str, str]) -> None:
    """Headers that say nothing of limits are no sightings, and whatever a header says is no failure."""
    assert sightings(headers.items(), NOW) == []
    sightings((("x-ratelimit-reset-tokens", value) for value in headers.values()), NOW)
