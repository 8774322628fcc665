"""Puts an answer's fragments in order: they come in any mixture, and our parts may not overlap. Pure.

Every stretch of text or reasoning and every call is a lane. The first lane that is not complete is told as it
grows; whatever comes for another waits its turn. Text may end at any fragment of something else; a call only
with complete arguments, as a server may still go on with it.
"""

from __future__ import annotations

import secrets
import string
from collections import deque

import msgspec

from claude_max_proxy import Event, PartDelta, PartEnded, PartKind, PartStarted


_ALPHABET = string.ascii_letters + string.digits


class Lane(msgspec.Struct, eq=False):
    """One part to be: what was heard of it and, past ``told``, not told yet."""

    kind: PartKind
    id: str = ""
    name: str = ""
    texts: list[str] = msgspec.field(default_factory=list)
    told: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing can follow."""
        if self.kind != "tool_call":
            return True
        if not (self.texts and self.texts[-1].rstrip().endswith("}")):
            return False

        try:
            msgspec.json.decode("".join(self.texts))
        except msgspec.DecodeError:
            return False
        return True


class Lanes:
    """The lanes of one answer. ``calls`` says how many calls there are."""

    def __init__(self) -> None:
        """Begin with none."""
        self.calls = 0
        self._index = 0
        self._open: Lane | None = None
        self._waiting: deque[Lane] = deque()
        self._by_index: dict[int, Lane] = {}
        self._newest: Lane | None = None

    def text(self, kind: PartKind, text: str) -> list[Event]:
        """Take a fragment of text or reasoning."""
        lane = self._open
        if lane is not None and lane.kind == kind and not self._waiting:
            return [PartDelta(self._index, text)]

        last = self._waiting[-1] if self._waiting else None
        if last is None or last.kind != kind:
            last = Lane(kind)
            self._waiting.append(last)
        last.texts.append(text)
        return self._proceed()

    def call(self, index: int | None, call_id: str, name: str, arguments: str) -> list[Event]:
        """Take a fragment of a call; only the first of each carries its name, and often its id."""
        lane = self._newest if index is None else self._by_index.get(index)
        if lane is None or _is_another(lane, index, call_id, name):
            if not (name or call_id):
                return []  # arguments of a call that nobody made
            lane = Lane("tool_call", call_id or _new_id(), name)
            self.calls += 1
            self._waiting.append(lane)
        self._newest = lane
        if index is not None:
            self._by_index[index] = lane
        if arguments:
            lane.texts.append(arguments)
        return self._proceed()

    def finish(self) -> list[Event]:
        """End everything, as nothing more will come."""
        return self._proceed(final=True)

    def _proceed(self, *, final: bool = False) -> list[Event]:
        """Tell what can be told: the open lane, and the next ones as far as each before is complete."""
        events: list[Event] = []
        while True:
            if self._open is not None:
                events += self._tell(self._open)
                if not final and not (self._waiting and self._open.complete):
                    return events
                events.append(PartEnded(self._index))
                self._index += 1
                self._open = None
            if not self._waiting:
                return events
            self._open = self._waiting.popleft()
            events.append(PartStarted(self._index, self._open.kind, self._open.id, self._open.name))

    def _tell(self, lane: Lane) -> list[Event]:
        untold = lane.texts[lane.told :]
        lane.told = len(lane.texts)
        if lane.kind != "tool_call":
            lane.texts, lane.told = [], 0
        return [PartDelta(self._index, text) for text in untold]


def _is_another(lane: Lane, index: int | None, call_id: str, name: str) -> bool:
    """Whether a fragment begins another call: some servers count every call as 0, or none at all."""
    if not name:
        return False

    return call_id != lane.id if call_id else index is None or lane.complete


def _new_id() -> str:
    """Make an id in the form that every client takes: some drop all but letters and digits, beyond 40."""
    return "call" + "".join(secrets.choice(_ALPHABET) for _ in range(24))
