"""Holds what was said in the last requests, in memory, while somebody has switched that on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator

from claude_max_proxy import Event, Events, Record, Request
from claude_max_proxy.facts.inspection import HeldRequest, Inspecting, Inspection
from claude_max_proxy.formats import matches, shown
from claude_max_proxy.observers.inspector.entry import Entry


logger = logging.getLogger(__name__)

MOST_REQUESTS = 20
MOST_BYTES = 8 * 2**20
_LOOK = 15.0  # seconds after which the clock is looked at again: a laptop may have slept
_NOT_HELD = ("-count", "-embeddings")  # how their dialects end; they have no answer in words


class Inspector(Inspection):
    """Is off until somebody switches it on, and then on for a while.

    The time is over by whichever clock says so first: one of them stands still while a machine sleeps.
    """

    def __init__(self) -> None:
        """Begin switched off."""
        self._inspecting: Inspecting | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._entries: dict[str, Entry] = {}

    @property
    def is_on(self) -> bool:
        """Whether something is to be held now."""
        return self._inspecting is not None and not self._end_in_time()

    def state(self) -> Inspecting | None:
        """Return who has switched it on; ``None`` if it is off."""
        return self._inspecting if self.is_on else None

    def begin(self, seconds: float, by: str, key: str = "", model: str = "") -> None:
        """Keep what is said from now on, for so many seconds. What was kept before is wiped."""
        if self.is_on:
            self.end(by)
        self._deadline = time.monotonic() + seconds
        self._inspecting = Inspecting(by, time.time() + seconds, key, model)
        self._watch()
        logger.warning(
            "the inspector is on until %s: %s can now be read on the page by whoever may open it; "
            "%s has switched it on",
            time.strftime("%H:%M:%S", time.localtime(self._inspecting.until)),
            _what(key, model),
            _who(by),
        )

    def end(self, by: str) -> None:
        """Keep nothing any longer, and wipe what was kept."""
        if self.is_on:
            self.stop(f"{_who(by)} has switched it off")

    def requests(self) -> list[HeldRequest]:
        """Return the requests that are held, the newest first."""
        return [entry.held() for entry in reversed(self._entries.values())] if self.is_on else []

    def request(self, id: str) -> HeldRequest | None:
        """Return one request, or ``None`` if it is not held."""
        entry = self._entries.get(id) if self.is_on else None
        return entry.held() if entry is not None else None

    def stop(self, reason: str) -> None:
        """Wipe everything; if it was on, say so in the log."""
        if self._timer is not None:
            self._timer.cancel()
        for entry in self._entries.values():
            entry.wipe()
        self._entries.clear()
        was_on, self._inspecting, self._timer = self._inspecting is not None, None, None
        if was_on:
            logger.warning("the inspector is off, and what it held is wiped: %s", reason)

    # --- one request

    def take(self, request: Request) -> None:
        """Hold a request as it came, if it is one of those that are to be inspected."""
        wanted = self._inspecting
        if wanted is None or not self._is_wanted(request, wanted):
            return
        if (older := self._entries.pop(request.id, None)) is not None:
            older.wipe()
        self._entries[request.id] = Entry(request)
        self._make_room()

    def listen(self, request: Request, events: Events) -> AsyncGenerator[Event, None] | None:
        """Hold a request as it goes to its backend, and return what also holds its answer.

        Return ``None`` if the request is not held.
        """
        entry = self._entries.get(request.id)
        if entry is None:
            return None
        entry.leave(request)
        self._make_room()
        return self._heard(entry, events)

    def close(self, record: Record) -> None:
        """Note how a request ended."""
        entry = self._entries.get(record.id)
        if entry is None:
            return
        if record.dialect.endswith(_NOT_HELD):
            del self._entries[record.id]
            entry.wipe()
        else:
            entry.close(record)

    async def _heard(self, entry: Entry, events: Events) -> AsyncGenerator[Event, None]:
        async for event in events:
            if not entry.wiped:
                entry.hear(event)
                self._make_room()
            yield event

    def _is_wanted(self, request: Request, wanted: Inspecting) -> bool:
        if wanted.key and request.client.key != wanted.key:
            return False
        return not wanted.model or matches(wanted.model, request.model)

    def _make_room(self) -> None:
        """Wipe the oldest requests until what is held is within its bounds."""
        while len(self._entries) > MOST_REQUESTS or self._size() > MOST_BYTES:
            self._entries.pop(next(iter(self._entries))).wipe()

    def _size(self) -> int:
        return sum(entry.size for entry in self._entries.values())

    # --- the time

    def _end_in_time(self) -> bool:
        wanted = self._inspecting
        if wanted is not None and (time.time() >= wanted.until or time.monotonic() >= self._deadline):
            self.stop("its time is over")
        return self._inspecting is None

    def _watch(self) -> None:
        """Look at the clock until it is switched off."""
        if self.is_on:
            rest = max(0.0, self._deadline - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(min(rest, _LOOK), self._watch)


def _who(by: str) -> str:
    return f"the key {shown(by)}" if by else "somebody without a key, on this machine,"


def _what(key: str, model: str) -> str:
    words = "what is said in requests"
    if key:
        words += f" of the key {shown(key)}"
    return f"{words} for the model {shown(model)}" if model else words
