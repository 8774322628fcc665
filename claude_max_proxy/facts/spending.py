"""What all replicas of the proxy have used together, and what they hold for requests that run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import msgspec


__all__ = [
    "BOUNDLESS",
    "EVERYBODY",
    "Spending",
    "Spent",
    "Standing",
    "WindowUse",
]


class Spent(msgspec.Struct, frozen=True):
    """Tokens, and US dollars."""

    tokens: int = 0
    dollars: float = 0.0


BOUNDLESS = Spent(2**60, math.inf)
"""More than anybody uses: what is left where there is no limit."""


class Standing(msgspec.Struct):
    """How one budget stands.

    - ``used``: what was used in each period that was asked about, by its name.
    - ``seconds``: the tokens of the last minute, by how many whole seconds ago they were used.
    - ``reserved``: what is held for the ``running`` requests.
    """

    used: dict[str, Spent] = {}
    seconds: dict[int, int] = {}
    reserved: Spent = Spent()
    running: int = 0


EVERYBODY = ""
"""The owner of all that was used of a window together."""


class WindowUse(msgspec.Struct):
    """What other replicas have counted of a window of a plan.

    ``base`` was used of it when the first replica began to count, ``counted`` seconds ago. ``live`` is what
    others have counted since then, and ``before`` what ledgers have of the time before; ``of`` has both, by
    owner.
    """

    base: float
    counted: float
    live: float = 0.0
    before: float = 0.0
    of: dict[str, float] = {}


class Spending(ABC):
    """Counts what all replicas use. A plugin finds it by ``context.find(Spending)`` if there are several.

    A budget is named by any text. ``since`` says for each period how many seconds ago it began.
    """

    @property
    @abstractmethod
    def replicas(self) -> int:
        """How many replicas are alive, with this one."""

    @abstractmethod
    async def standings(self, budgets: Sequence[str], since: Mapping[str, float]) -> list[Standing]:
        """Return how budgets stand, in their order. Raises :class:`Unreachable`."""

    @abstractmethod
    def reserve_here(self, id: str, budgets: Sequence[str], amount: Spent) -> bool:
        """Hold an amount for the request with this id out of what this replica has leased.

        Returns whether that was possible; if not, nothing is held, and :meth:`reserve` decides.
        """

    @abstractmethod
    async def reserve(
        self,
        id: str,
        budgets: Sequence[str],
        amount: Spent,
        since: Callable[[], Mapping[str, float]],
        check: Callable[[list[Standing]], None],
        rooms: Sequence[Callable[[Standing], Spent]] = (),
    ) -> None:
        """Hold an amount for the request with this id.

        ``check`` gets the standings, and raises an error if there is no room; nobody else reserves in
        between. Raises that error, or :class:`Unreachable` if this cannot be done now, or not in time.

        ``rooms`` return how much of each budget is left. With them, a part of a budget that is used often may
        be leased by this replica, for :meth:`reserve_here`. They are also called later.
        """

    @abstractmethod
    def settle(self, id: str, budgets: Sequence[str], amount: Spent) -> None:
        """Replace soon what is held for a request by what it has used, also if nothing is held for it."""

    @abstractmethod
    async def unseeded(self, budgets: Sequence[str], source: str, age: float) -> dict[str, float]:
        """Return which budgets lack what was used before replicas counted together, as ``source`` knows it.

        ``source`` names one ledger, and ``age`` says for how many seconds this replica has counted. The value
        of each budget says how many seconds ago all replicas began to count it: what the source has of the
        time before goes to :meth:`seed`. Raises :class:`Unreachable`.
        """

    @abstractmethod
    async def seed(self, budget: str, source: str, amounts: Sequence[tuple[float, Spent]]) -> None:
        """Count what was used so many seconds ago, once for each source. Raises :class:`Unreachable`."""

    @abstractmethod
    async def count_window(self, name: str, age: float, base: float, mine: Mapping[str, float]) -> WindowUse:
        """Say what was counted here of a window that began ``age`` seconds ago, and return what others have.

        ``mine`` is by owner, with :data:`EVERYBODY` for all together. Raises :class:`Unreachable`.
        """

    @abstractmethod
    async def count_window_before(
        self, name: str, age: float, base: float, source: str, amounts: Mapping[str, float]
    ) -> None:
        """Say what one ledger has of the time before a window was counted. Raises :class:`Unreachable`."""
