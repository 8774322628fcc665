"""Limits the tokens of a day: `[plugins.daily_budget]` with `tokens = { opus = 2_000_000 }`, by model."""

import time
from collections import Counter
from typing import Annotated

import claude_max_proxy as proxy


# The built-in plugin `budgets` does more and survives restarts; this one shows how to answer elsewhere.
DAY = 86_400
spent: Counter[tuple[int, str]] = Counter()


class Settings(proxy.Settings, frozen=True):
    """How much each model may be used in a day, and what comes after that."""

    tokens: Annotated[dict[str, int], proxy.Meta(description="Tokens a day (UTC), by upstream model.")] = {}
    reroute: Annotated[str, proxy.Meta(description="The backend that answers then. Empty refuses.")] = ""


@proxy.hookimpl
def select_backend(target: proxy.Target, settings: Settings) -> str | None:
    """Choose another backend, or refuse, if the day's tokens are used up."""
    day, second = divmod(int(time.time()), DAY)
    if spent[day, target.model] < settings.tokens.get(target.model, float("inf")):
        return None
    if settings.reroute:
        return settings.reroute

    raise proxy.UsageLimitReached(f"usage limit reached: {target.model!r} today", retry_after=DAY - second)


@proxy.hookimpl
def log_request(record: proxy.Record) -> None:
    """Add the tokens of a finished request to those of the day."""
    if record.usage:
        tokens = record.usage.prompt_tokens + record.usage.output_tokens
        spent[int(time.time()) // DAY, record.upstream_model] += tokens
