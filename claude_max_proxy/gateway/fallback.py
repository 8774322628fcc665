"""Decides which targets are asked, and holds answers back until it is certain that no other target is needed.

If a target's plan is used up, it is passed over until the plan's reset, as long as there is another target.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing

from claude_max_proxy.backend import Target
from claude_max_proxy.errors import Overloaded, ProxyError, UpstreamFailed, UsageLimitReached
from claude_max_proxy.events import Event, Events, Failed, Finished, PartDelta, PartStarted, Started


logger = logging.getLogger(__name__)
_UNKNOWN_RESET = 300.0
_PAUSE = 0.2
_MOST_OPEN = 1000


class Breakers:
    """Remembers which targets' plans are used up, and until when.

    ``tell`` is called with the backend, the model and the seconds of each limit that was met here, for other
    replicas.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with all targets usable; ``clock`` returns a time in seconds that never goes back."""
        self._clock = clock
        self.tell: Callable[[str, str, float], None] = lambda *_: None
        self._open_until: dict[tuple[str, str], float] = {}

    def candidates(self, every: Sequence[Target]) -> Sequence[Target]:
        """Return the targets to ask, in order: those whose plan is not used up, or else the last one."""
        now = self._clock()
        usable = [one for one in every if self._open_until.get((one.backend, one.model), 0.0) <= now]
        return usable or every[-1:]

    def note(self, target: Target, error: ProxyError) -> None:
        """Learn from a failure of ``target``."""
        if isinstance(error, UsageLimitReached):
            pause = error.retry_after if error.retry_after is not None else _UNKNOWN_RESET
            self._open_until[target.backend, target.model] = self._clock() + pause
            self.tell(target.backend, target.model, pause)

    def hear(self, backend: str, model: str, seconds: float) -> None:
        """Learn of a limit that another replica has met. The later end of two holds."""
        now, place = self._clock(), (backend, model)
        if place not in self._open_until and len(self._open_until) >= _MOST_OPEN:
            self._open_until = {key: until for key, until in self._open_until.items() if until > now}
        if place in self._open_until or len(self._open_until) < _MOST_OPEN:
            self._open_until[place] = max(now + seconds, self._open_until.get(place, 0.0))


async def held(events: Events) -> Events:
    """Yield the events, but hold ``Started`` back until the answer's first word.

    A failure that comes before that is raised, so that another target can still answer.
    """
    started: Started | None = None
    begun = False
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Failed) and not begun:
                raise event.error
            if isinstance(event, Started) and not begun:
                started = event
                continue
            for one in _in_order(None if begun else started, event):
                begun = True
                yield one


async def whole(ask: Callable[[], Events], retries: int, heard: Callable[[], None]) -> Events:
    """Hold an answer back until it is complete, then yield its events; ask again if it breaks off.

    ``ask`` starts an answer; it is called again at most ``retries`` times. ``heard`` is called at each
    answer's first word. If an answer fails before that, this function does not ask again, since the backend
    has already done so. Raises the failure of the last answer.
    """
    attempt = 0
    while True:
        held_back = _Whole(heard)
        try:
            async with aclosing(ask()) as events:
                async for event in events:
                    held_back.add(event)
            break
        except ProxyError as error:
            if held_back.ended:
                break
            broke_off = held_back.spoke and isinstance(error, UpstreamFailed | Overloaded)
            if not broke_off or attempt == retries:
                raise
            logger.warning("a whole answer broke off, asking again: %s", error.logged)
        await asyncio.sleep(_PAUSE * 2**attempt)
        attempt += 1
    for event in held_back.events:
        yield event


class _Whole:
    """Collects the events of one answer."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self.events: list[Event] = []
        self.spoke = self.ended = False
        self._heard = heard

    def add(self, event: Event) -> None:
        """Add an event; if it is a failure, raise its error."""
        if isinstance(event, Failed) and not self.ended:
            raise event.error
        if not self.spoke and isinstance(event, PartStarted | PartDelta):
            self.spoke = True
            self._heard()
        self.ended = self.ended or isinstance(event, Finished)
        self.events.append(event)


def _in_order(started: Started | None, event: Event) -> list[Event]:
    return [event] if started is None else [started, event]
