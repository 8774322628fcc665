"""What the CLI says about the plan's windows."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import PlanWindow
from claude_max_proxy.backends.claude_cli.plan import sightings, usage_sightings
from claude_max_proxy.backends.claude_cli.protocol import decode


NOW, RESET, WEEK = 1_800_000_000.0, 1_800_003_600.0, 1_800_400_000.0
UNIFIED = {
    "five_hour": {"utilization": 0.67, "resetsAt": RESET, "status": "allowed", "surpassedThreshold": 0.5},
    "seven_day": {"utilization": 1.02, "resetsAt": WEEK, "status": "rejected"},
}


def heard(**info: Any) -> list[PlanWindow]:
    """Return the sightings in a line of the CLI with this information."""
    line = decode(msgspec.json.encode({"type": "rate_limit_event", "rate_limit_info": info}))
    assert line is not None
    assert line.rate_limit_info is not None
    return sightings(line.rate_limit_info, NOW)


def test_an_older_cli() -> None:
    """It says how the plan stands and which window decides that; sometimes without a percentage."""
    found = heard(status="allowed_warning", resetsAt=RESET, rateLimitType="five_hour", isUsingOverage=False)
    assert found == [
        PlanWindow("plan", None, "warning", RESET, NOW),
        PlanWindow("five_hour", None, "warning", RESET, NOW),
    ]


def test_a_newer_cli() -> None:
    """A window's own status and the plan's are two things."""
    found = heard(
        status="rejected", resetsAt=WEEK, rateLimitType="seven_day", utilization=1.0, unifiedWindows=UNIFIED
    )
    assert found == [
        PlanWindow("plan", None, "rejected", WEEK, NOW),
        PlanWindow("seven_day", 1.02, "rejected", WEEK, NOW),
        PlanWindow("five_hour", 0.67, "allowed", RESET, NOW),
    ]


@pytest.mark.parametrize(
    "odd",
    [
        {"unifiedWindows": "many"},
        {"unifiedWindows": [1]},
        {"unifiedWindows": {"five_hour": 5}},
        {"utilization": "half"},
        {"unifiedWindows": {"five_hour": {"utilization": True, "resetsAt": "soon", "status": ["odd"]}}},
    ],
)
def test_an_odd_event(odd: dict[str, Any]) -> None:
    """Whatever a future CLI sends in the newer fields, the status is still understood."""
    (plan, *_) = heard(status="rejected", resetsAt=RESET, rateLimitType="five_hour", **odd)
    assert plan == PlanWindow("plan", None, "rejected", RESET, NOW)


def test_an_empty_event() -> None:
    """An event that says nothing is a sighting of nothing."""
    assert heard() == [PlanWindow("plan", seen_at=NOW)]


def test_the_answer_to_a_look() -> None:
    """The CLI's answer has percentages and ISO times; what is no window, or not known, is left out."""
    limits = {
        "five_hour": {"utilization": 67, "resets_at": "2027-01-15T09:00:00.123+00:00"},
        "seven_day": {"utilization": 101.5, "resets_at": None},
        "seven_day_opus": None,
        "seven_day_sonnet": {"utilization": None, "resets_at": "2027-01-15T09:00:00Z"},
        "iguana": {"utilization": 5, "resets_at": None},
        "extra_usage": {"is_enabled": True, "utilization": 2.4},
        "model_scoped": [{"display_name": "Fable 5", "utilization": 3, "resets_at": "soon"}, "odd"],
    }
    assert [(one.name, one.used, one.resets_at) for one in usage_sightings(limits, NOW)] == [
        ("five_hour", 0.67, pytest.approx(RESET)),
        ("seven_day", pytest.approx(1.015), None),
        ("seven_day_fable_5", 0.03, None),
    ]


@pytest.mark.parametrize(
    "odd", [None, [], "no", {"five_hour": 5}, {"five_hour": {"utilization": "x"}}, {"model_scoped": {"a": 1}}]
)
def test_an_odd_answer_to_a_look(odd: object) -> None:
    """Whatever else a CLI answers is no sighting."""
    assert usage_sightings(odd, NOW) == []
