"""Keeps what lasts as long as the process out of Python's garbage collection.

After some hundreds of requests, Python looks through all objects for cycles that nobody uses any more. Nearly
all of them are modules, classes and the configuration, which stay; looking through them takes a fifth of the
CPU time of a request, and each time it holds up all answers for a twentieth of a second. So these objects are
frozen (`gc.freeze`), and Python only looks through those that have come since, and less often: with its own
threshold of 700 objects it would look through the same unfinished requests again and again.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Collection, Hashable
from typing import Protocol


_MANY = 50  # modules
_YOUNG = 10_000  # objects; what sixteen requests have at the same time is less than half of it


class Collector(Protocol):
    """The functions of the module :mod:`gc` that are used here."""

    def set_threshold(self, threshold0: int, /) -> None:
        """Collect when there are that many more objects than at the last time."""

    def unfreeze(self) -> None:
        """Let everything be collected again."""

    def collect(self) -> int:
        """Remove what nobody uses."""

    def freeze(self) -> None:
        """Keep everything that there is now out of later collections."""


class Lasting:
    """Freezes what has been loaded, as soon as nothing more is being loaded."""

    def __init__(self, collector: Collector = gc, modules: Collection[str] = sys.modules) -> None:
        """Prepare; nothing is frozen yet. ``modules`` are those that are imported."""
        self._collector = collector
        self._modules = modules
        self._before: tuple[Hashable, int] | None = None
        self._frozen: tuple[Hashable, int] | None = None

    def freeze(self, configuration: Hashable) -> None:
        """Freeze what there is, if this is worth its time; to be called now and then.

        It is worth it if the ``configuration``, by whatever it is told from others, or many of the modules
        are not those of the last time, and if both have stayed the same since the last call.
        """
        now = (configuration, len(self._modules))
        settled, self._before = now == self._before, now
        if settled and self._is_worth_it(now):
            self._frozen = now
            # What was frozen is looked through again: an old configuration may be garbage by now.
            self._collector.unfreeze()
            self._collector.collect()
            self._collector.freeze()
            self._collector.set_threshold(_YOUNG)

    def _is_worth_it(self, now: tuple[Hashable, int]) -> bool:
        if self._frozen is None or now[0] != self._frozen[0]:
            return True
        return now[1] - self._frozen[1] >= _MANY
