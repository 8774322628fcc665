"""Which target is asked, and which when that one fails: breakers, and answers held until they are sure.

A target whose plan is used up is passed over until its reset, as long as there is another one to ask.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from claude_max_proxy.backend import Target
from claude_max_proxy.errors import ProxyError, UsageLimitReached
from claude_max_proxy.events import Event, Events, Failed, Started


logger = logging.getLogger(__name__)
_UNKNOWN_RESET = 300.0


class Breakers:
    """Remembers whose plan is used up, and until when."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with every target closed; ``clock`` gives seconds that never go back."""
        self._clock = clock
        self._open_until: dict[tuple[str, str], float] = {}

    def candidates(self, every: Sequence[Target]) -> Sequence[Target]:
        """Return those to ask, in order: all of ``every`` that are not known to be used up, or the last."""
        now = self._clock()
        usable = [one for one in every if self._open_until.get((one.backend, one.model), 0.0) <= now]
        return usable or every[-1:]

    def note(self, target: Target, error: ProxyError) -> None:
        """Learn from a failure of ``target``."""
        if isinstance(error, UsageLimitReached):
            pause = error.retry_after if error.retry_after is not None else _UNKNOWN_RESET
            self._open_until[target.backend, target.model] = self._clock() + pause


async def held(events: Events) -> Events:
    """Hold ``Started`` back until the answer's first word, and raise a failure that comes before it.

    So an answer that fails at once can still be another model's.
    """
    started: Started | None = None
    begun = False
    async for event in events:
        if isinstance(event, Failed) and not begun:
            raise event.error
        if isinstance(event, Started) and not begun:
            started = event
            continue
        for one in _in_order(None if begun else started, event):
            begun = True
            yield one


def _in_order(started: Started | None, event: Event) -> list[Event]:
    return [event] if started is None else [started, event]
