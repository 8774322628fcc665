"""The rate-limit headers with which the API tells a subscription how much of its plan is used."""

from __future__ import annotations

import time

from claude_max_proxy.testing.answers import Fault


PREFIX = "anthropic-ratelimit-unified"
WINDOWS = {"five_hour": "5h", "seven_day": "7d"}


def limit_headers(
    status: str = "allowed",
    utilization: float = 0.5,
    resets_in: float = 3600.0,
    window: str = "five_hour",
) -> dict[str, str]:
    """The headers of an answer to a subscription.

    `status` is allowed, allowed_warning or rejected; `utilization` is the part of the window that
    is used, 0 to 1; `resets_in` is in seconds from now; `window`, five_hour or seven_day, is the
    one that the status is about. Raises KeyError for another window.
    """
    short = WINDOWS[window]
    resets_at = str(int(time.time() + resets_in))
    return {
        f"{PREFIX}-status": status,
        f"{PREFIX}-reset": resets_at,
        f"{PREFIX}-representative-claim": window,
        f"{PREFIX}-{short}-status": status,
        f"{PREFIX}-{short}-reset": resets_at,
        f"{PREFIX}-{short}-utilization": str(utilization),
    }


def plan_limit(resets_in: float = 3600.0, window: str = "five_hour") -> Fault:
    """The 429 of a plan that is used up until `resets_in` seconds from now."""
    headers = limit_headers("rejected", 1.0, resets_in, window)
    headers["retry-after"] = str(int(resets_in))
    # Without this the CLI would retry for as long as the plan is used up.
    headers["x-should-retry"] = "false"
    message = "This request would exceed your account's rate limit. Please try again later."
    return Fault(429, "rate_limit_error", message, headers)
