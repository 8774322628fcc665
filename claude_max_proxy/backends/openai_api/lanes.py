"""Puts an answer's fragments in order: they come in any mixture, but our parts must not overlap. Pure.

Every stretch of text or reasoning and every call is a lane. The first lane that is not complete is passed on
while it grows; what arrives for other lanes waits until it is complete. A lane of text is complete as soon as
a fragment of something else arrives. A call is only complete with its arguments, since the server may still
go on with it.
"""

from __future__ import annotations

from collections import deque

import msgspec

from claude_max_proxy import Event, PartDelta, PartEnded, PartKind, PartStarted, formats
from claude_max_proxy.backends.openai_api.arguments import Arguments


class Lane(msgspec.Struct, eq=False):
    """A part of the answer: its fragments, of which the first ``told`` have been passed on."""

    kind: PartKind
    id: str = ""
    name: str = ""
    texts: list[str] = msgspec.field(default_factory=list)
    told: int = 0
    arguments: Arguments = msgspec.field(default_factory=Arguments)

    @property
    def complete(self) -> bool:
        """Whether nothing more can follow."""
        return self.kind != "tool_call" or self.arguments.complete(self.texts)


class Lanes:
    """The lanes of one answer. ``calls`` says how many calls there are."""

    def __init__(self) -> None:
        """Begin without lanes."""
        self.calls = 0
        self._index = 0
        self._open: Lane | None = None
        self._waiting: deque[Lane] = deque()
        self._by_index: dict[int, Lane] = {}
        self._newest: Lane | None = None

    def text(self, kind: PartKind, text: str) -> list[Event]:
        """Take a fragment of text or reasoning; return the events that can be passed on now."""
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
        """Take a fragment of a call; return the events that can be passed on now.

        Only the first fragment of a call has its name, and usually its id.
        """
        lane = self._newest if index is None else self._by_index.get(index)
        if lane is None or _is_another(lane, index, call_id, name):
            if not (name or call_id):
                return []  # these are arguments without a call
            lane = Lane("tool_call", call_id or formats.tool_ids.new(), name)
            self.calls += 1
            self._waiting.append(lane)
        self._newest = lane
        if index is not None:
            self._by_index[index] = lane
        if arguments:
            lane.texts.append(arguments)
        return self._proceed()

    def finish(self) -> list[Event]:
        """End all lanes, since nothing more will come; return the remaining events."""
        return self._proceed(final=True)

    def _proceed(self, *, final: bool = False) -> list[Event]:
        """Return the events of the open lane and, as long as each lane is complete, of the next ones."""
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
    """Return whether a fragment begins another call.

    The index alone does not tell: some servers give every call the index 0, others give none.
    """
    if not name:
        return False

    return call_id != lane.id if call_id else index is None or lane.complete
