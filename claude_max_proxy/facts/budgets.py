"""What is known of the budgets of keys, models and backends, for whoever shows it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import msgspec


__all__ = [
    "BudgetFacts",
    "Budgets",
]


class BudgetFacts(msgspec.Struct, frozen=True):
    """One limit, and how much of it is used.

    - ``kind``, ``name``: whose limit it is; the name of a model may be a pattern.
    - ``unit``: what is counted: tokens, or US dollars by the provider's API.
    - ``period``: the time in which it is counted: any sixty seconds, or an hour, day or month of the clock.
    - ``reserved``: what is held for running requests, in addition to what is ``used``.
    - ``resets_at``: when the count begins again, in seconds since 1970; ``None`` for a minute.
    """

    kind: Literal["key", "model", "backend"]
    name: str
    unit: Literal["tokens", "dollars"]
    period: Literal["minute", "hour", "day", "month"]
    limit: float
    used: float
    reserved: float = 0.0
    resets_at: float | None = None

    @property
    def share(self) -> float:
        """The share of the limit that is used, 1 if all is; what is reserved does not count."""
        return self.used / self.limit


class Budgets(ABC):
    """All budgets; a plugin finds them by ``context.find(Budgets)``."""

    @abstractmethod
    def facts(self) -> Sequence[BudgetFacts]:
        """Return every limit in tokens or dollars, in the order of the configuration."""
