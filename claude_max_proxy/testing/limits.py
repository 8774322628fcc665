"""Makes the headers with which providers tell how much of a plan, or of a rate limit, is used."""

from __future__ import annotations

import datetime as dt
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
    """Return the headers of an answer to a subscriber.

    `status` is allowed, allowed_warning or rejected. `utilization` is the part of the limit that is used,
    from 0 to 1. `resets_in` is in seconds from now. `window` is the limit that the status is about, five_hour
    or seven_day. Raises KeyError for another window.
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


def api_limit_headers(used: float = 0.5, resets_in: float = 60.0) -> dict[str, str]:
    """Return the headers of an answer to who has an API key of Anthropic's.

    `used` is the share of each limit that is used, from 0 to 1. `resets_in` is in seconds from now.
    """
    resets_at = dt.datetime.fromtimestamp(time.time() + resets_in, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    headers = {}
    for name, limit in (("requests", 1000), ("tokens", 100_000), ("input-tokens", 80_000)):
        headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
        headers[f"anthropic-ratelimit-{name}-remaining"] = str(round(limit * (1 - used)))
        headers[f"anthropic-ratelimit-{name}-reset"] = resets_at
    return headers


def openai_limit_headers(used: float = 0.5, resets_in: str = "6m0s") -> dict[str, str]:
    """Return the headers of an answer of OpenAI's API; `used` is a share, `resets_in` a duration."""
    headers = {}
    for name, limit in (("requests", 1000), ("tokens", 100_000)):
        headers[f"x-ratelimit-limit-{name}"] = str(limit)
        headers[f"x-ratelimit-remaining-{name}"] = str(round(limit * (1 - used)))
        headers[f"x-ratelimit-reset-{name}"] = resets_in
    return headers


def plan_limit(resets_in: float = 3600.0, window: str = "five_hour") -> Fault:
    """Return the error 429 for a plan that is used up for another `resets_in` seconds."""
    headers = limit_headers("rejected", 1.0, resets_in, window)
    headers["retry-after"] = str(int(resets_in))
    # Without this header, the CLI would try again and again until the plan is reset.
    headers["x-should-retry"] = "false"
    message = "This request would exceed your account's rate limit. Please try again later."
    return Fault(429, "rate_limit_error", message, headers)
