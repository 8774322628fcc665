"""The settings of budgets: how much keys, models and backends may use."""

from __future__ import annotations

from typing import Annotated

import msgspec

from claude_max_proxy import Meta
from claude_max_proxy import Settings as BaseSettings


Tokens = Annotated[int, Meta(gt=0)] | None
Dollars = Annotated[float, Meta(gt=0)] | None
Share = Annotated[float, Meta(gt=0, lt=1)] | None


class Budget(BaseSettings, frozen=True):
    """How much may be used. What is left out is not limited."""

    tokens_per_minute: Annotated[Tokens, Meta(description="Tokens within any 60 seconds.")] = None
    tokens_per_hour: Annotated[Tokens, Meta(description="Tokens in an hour of the clock.")] = None
    tokens_per_day: Annotated[Tokens, Meta(description="Tokens in a day, from midnight, local time.")] = None
    tokens_per_month: Annotated[Tokens, Meta(description="Tokens in a month, from its first day.")] = None
    dollars_per_hour: Annotated[
        Dollars, Meta(description="What an hour's tokens may cost by the provider's API, in US dollars.")
    ] = None
    dollars_per_day: Annotated[
        Dollars, Meta(description="What a day's tokens may cost by the provider's API, in US dollars.")
    ] = None
    dollars_per_month: Annotated[
        Dollars, Meta(description="What a month's tokens may cost by the provider's API, in US dollars.")
    ] = None
    window_share: Annotated[
        Share,
        Meta(
            description="The largest share of each window of the backend's plan, such as `0.2`. It is "
            "estimated from how the window fills while tokens are counted."
        ),
    ] = None
    reserve: Annotated[
        Share,
        Meta(
            description="Hold back when less than this share of a window of the backend's plan is left, so "
            "that others are served: `0.1` for what can wait."
        ),
    ] = None

    def part(self, replicas: int) -> Budget:
        """Return the share of each limit that one of so many replicas has, which is never nothing."""
        kept = {"window_share": self.window_share, "reserve": self.reserve}
        limits: dict[str, float | None] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name not in kept and value is not None:
                limits[name] = max(value // replicas, 1) if name.startswith("tokens") else value / replicas
        return msgspec.structs.replace(self, **limits)


class Settings(BaseSettings, frozen=True):
    """Budgets by who asks, by what is asked for, and by who answers. All that match a request count."""

    keys: Annotated[
        dict[str, Budget], Meta(description="Budgets by the name of the API key in `[server] api_keys`.")
    ] = {}
    models: Annotated[
        dict[str, Budget],
        Meta(
            description="Budgets by the model's name that clients ask for; `*` stands for any text. A budget "
            "is for all models together that match."
        ),
    ] = {}
    backends: Annotated[dict[str, Budget], Meta(description="Budgets by the name of the backend.")] = {}
