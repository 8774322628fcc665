"""Caps a day's tokens. `[plugins.daily_budget]` with `tokens = { opus = 2_000_000 }`, by upstream model."""

import time
from collections import Counter

import msgspec

import claude_max_proxy as proxy


DAY = 86_400
spent: Counter[tuple[int, str]] = Counter()


class Settings(proxy.Settings, frozen=True):
    """When a model's `tokens` of the day (UTC) are spent, go to `reroute`, or refuse if there is none."""

    tokens: dict[str, int] = msgspec.field(default_factory=dict)
    reroute: str = ""


@proxy.hookimpl
def select_backend(target: proxy.Target, settings: Settings) -> str | None:
    """Look at what the day has cost so far."""
    day, second = divmod(int(time.time()), DAY)
    if spent[day, target.model] < settings.tokens.get(target.model, float("inf")):
        return None
    if settings.reroute:
        return settings.reroute

    raise proxy.UsageLimitReached(f"usage limit reached: {target.model!r} today", retry_after=DAY - second)


@proxy.hookimpl
def log_request(record: proxy.Record) -> None:
    """Add up what was used."""
    if record.usage:
        tokens = record.usage.prompt_tokens + record.usage.output_tokens
        spent[int(time.time()) // DAY, record.upstream_model] += tokens
