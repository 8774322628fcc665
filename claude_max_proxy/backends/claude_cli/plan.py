"""What the CLI says about the windows of the plan, as sightings of them. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

from claude_max_proxy import PlanWindow
from claude_max_proxy.backends.claude_cli.protocol import RateLimitInfo
from claude_max_proxy.facts.plan_windows import PLAN, WindowStatus


_STATUS: dict[str, WindowStatus] = {
    "allowed": "allowed",
    "allowed_warning": "warning",
    "rejected": "rejected",
}
_WINDOW = re.compile(r"(five_hour|seven_day)\w*")


def sightings(info: RateLimitInfo, now: float) -> list[PlanWindow]:
    """Return what a ``rate_limit_event`` tells; ``now`` is in seconds since the epoch.

    The event says how the whole plan stands, and which window decides that. Newer CLIs add how each window
    stands; older ones do not, and not every event has a percentage.
    """
    status = _STATUS.get(info.status, "")
    found = {PLAN: PlanWindow(PLAN, None, status, info.resets_at, now)}
    if info.rate_limit_type:
        name = info.rate_limit_type
        found[name] = PlanWindow(name, _number(info.utilization), status, info.resets_at, now)
    windows = info.unified_windows if isinstance(info.unified_windows, Mapping) else {}
    for name, facts in windows.items():
        if isinstance(facts, Mapping):
            own = _STATUS.get(str(facts.get("status")), "")
            resets_at = _number(facts.get("resetsAt"))
            found[str(name)] = PlanWindow(str(name), _number(facts.get("utilization")), own, resets_at, now)
    return list(found.values())


def usage_sightings(limits: object, now: float) -> list[PlanWindow]:
    """Return what the ``rate_limits`` of an answer to ``get_usage`` tell; ``now`` is as above.

    There, shares are percentages, times are ISO 8601 and everything may be null. Besides the windows there
    are other things, such as what was paid for extra use, which are left out.
    """
    if not isinstance(limits, Mapping):
        return []
    entries = {str(name): facts for name, facts in limits.items() if _WINDOW.fullmatch(str(name))}
    scoped = limits.get("model_scoped")
    for facts in scoped if isinstance(scoped, list) else []:
        if isinstance(facts, Mapping):
            entries[f"seven_day_{_slug(facts.get('display_name'))}"] = facts
    found = []
    for name, facts in entries.items():
        used = _number(facts.get("utilization")) if isinstance(facts, Mapping) else None
        if used is not None:
            found.append(PlanWindow(name, used / 100, "", _seconds(facts.get("resets_at")), now))
    return found


def _slug(name: object) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def _seconds(time: object) -> float | None:
    """Return a time in ISO 8601 as seconds since the epoch, or ``None`` for anything else."""
    try:
        return dt.datetime.fromisoformat(time).timestamp() if isinstance(time, str) else None
    except (ValueError, OverflowError):
        return None


def _number(value: object) -> float | None:
    """Return a number, or ``None`` for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
