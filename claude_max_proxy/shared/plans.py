"""Shares what replicas learn of the providers' plans: limits that are reached, and how windows fill.

It only makes sense if a backend of one name has the same login, or the same key, at every replica.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import msgspec

from claude_max_proxy.backend import Backend
from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.facts.plan_windows import PlanWindow, WindowStatus
from claude_max_proxy.shared.channel import Channel
from claude_max_proxy.shared.database import Database
from claude_max_proxy.shared.news import News, Span, Text


_LOOK_EVERY = 0.5  # seconds
_SAME_AGAIN = 30.0  # seconds after which a window is told again although nothing but its age has changed
_LONGEST = 40 * 86_400.0


class _Limit(msgspec.Struct, frozen=True):
    backend: Text
    model: Text


class _Window(msgspec.Struct, frozen=True):
    """A sighting: ``age`` and ``resets_in`` are seconds, before and after now."""

    backend: Text
    name: Text
    age: Span
    used: float | None = None
    status: WindowStatus = ""
    resets_in: Span | None = None
    length: Span | None = None


_limit = msgspec.json.Decoder(_Limit)
_window = msgspec.json.Decoder(_Window)


class Plans:
    """Tells other replicas of limits and windows, and hears of theirs.

    ``on_limit`` is called with a backend, a model, and for how many seconds its plan is used up. ``backends``
    are those in force, whose windows are told and which hear of others'.
    """

    def __init__(self, database: Database, channel: Channel) -> None:
        """Prepare to tell and to hear."""
        self.on_limit: Callable[[str, str, float], None] = lambda *_: None
        self.backends: Mapping[str, Backend] = {}
        self._limits = News(database, channel, "limit", self._hear_limit)
        self._windows = News(database, channel, "window", self._hear_window)
        self._known: dict[tuple[str, str], PlanWindow] = {}
        self._tasks = Tasks()

    def open(self) -> None:
        """Begin to tell."""
        self._limits.open()
        self._windows.open()
        self._tasks.keep(self._look_on, "shared-windows")

    async def close(self) -> None:
        """Tell nothing more."""
        await self._tasks.close()
        await self._limits.close()
        await self._windows.close()

    def tell_limit(self, backend: str, model: str, seconds: float) -> None:
        """Tell that the plan of a backend is used up for a model."""
        if 0 < seconds <= _LONGEST:
            self._limits.tell(f"{backend}/{model}", _Limit(backend[:300], model[:300]), seconds)

    def _hear_limit(self, body: bytes, _age: float, left: float) -> None:
        limit = _limit.decode(body)
        self.on_limit(limit.backend, limit.model, left)

    def _hear_window(self, body: bytes, age: float, _left: float) -> None:
        told, now = _window.decode(body), time.time()
        backend = self.backends.get(told.backend)
        if backend is None:
            return
        resets_at = now + told.resets_in - age if told.resets_in is not None else None
        seen = PlanWindow(told.name, told.used, told.status, resets_at, now - told.age - age, told.length)
        before = {one.name: one.seen_at for one in backend.windows()}
        backend.hear_windows((seen,))
        for one in backend.windows():
            if one.name == told.name and one.seen_at != before.get(told.name):
                self._known[told.backend, one.name] = one  # so that it is not told on

    async def _look_on(self) -> None:
        while True:
            for name, backend in dict(self.backends).items():
                for window in backend.windows():
                    self._tell_window(name, window)
            await asyncio.sleep(_LOOK_EVERY)

    def _tell_window(self, backend: str, window: PlanWindow) -> None:
        known, now = self._known.get((backend, window.name)), time.time()
        if known is not None and window.seen_at <= known.seen_at:
            return
        if known is not None and _alike(known, window) and window.seen_at - known.seen_at < _SAME_AGAIN:
            return
        self._known[backend, window.name] = window
        age = min(max(now - window.seen_at, 0.0), _LONGEST)
        resets_in = window.resets_at - now if window.resets_at is not None else None
        if resets_in is not None and not 0 < resets_in <= _LONGEST:
            return
        said = _Window(backend, window.name, age, window.used, window.status, resets_in, window.length)
        self._windows.tell(f"{backend}/{window.name}", said, resets_in or 3600.0)


def _alike(one: PlanWindow, other: PlanWindow) -> bool:
    return (one.used, one.status, one.resets_at) == (other.used, other.status, other.resets_at)
