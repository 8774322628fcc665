"""Stop sequences of white space alone: most providers refuse them, so we cut the answer ourselves.

The answer ends before the first such sequence in a text, even if the sequence is spread over several deltas.
Then the request is cancelled, so the rest of the model's answer costs neither time nor more tokens than need
be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import aclosing

import msgspec

from claude_max_proxy.backend import Backend
from claude_max_proxy.events import (
    Event,
    Events,
    Finished,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Started,
    Usage,
)
from claude_max_proxy.formats.blank import is_blank
from claude_max_proxy.gateway.estimates import text_tokens
from claude_max_proxy.request import Request


class Cutter:
    """Passes one text on, up to the first stop sequence; ``found`` is that sequence once it has come.

    If several sequences end at the same place, the longest one counts.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        """Begin a text; none of the stop sequences may be empty."""
        self.found = ""
        self._stops = sorted(stops, key=len, reverse=True)
        self._held = ""

    def feed(self, text: str) -> str:
        """Take more text; return the part that cannot belong to a stop sequence any more."""
        text = self._held + text
        places = [(text.find(stop), stop) for stop in self._stops]
        ends = [(place + len(stop), place, stop) for place, stop in places if place >= 0]
        if ends:
            self._held = ""
            _, place, self.found = min(ends)
            return text[:place]

        kept = self._begun(text)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> str:
        """Return what was held back; call this at the end of the text."""
        held, self._held = self._held, ""
        return held

    def _begun(self, text: str) -> int:
        """Return how many characters at the end may be the beginning of a stop sequence."""
        longest = min(len(text), len(self._stops[0]) - 1)
        for length in range(longest, 0, -1):
            end = text[len(text) - length :]
            if any(stop.startswith(end) and stop != end for stop in self._stops):
                return length
        return 0


def events_of(backend: Backend, request: Request, model: str) -> Events:
    """Return the backend's answer; stop sequences that it does not support are handled here."""
    if backend.any_stop or not any(map(is_blank, request.stop)):
        return backend.answer(request, model)

    asked = msgspec.structs.replace(request, stop=[stop for stop in request.stop if not is_blank(stop)])
    ours = [stop for stop in request.stop if stop and is_blank(stop)]
    events = backend.answer(asked, model)
    return cut(events, ours) if ours else events


async def cut(events: Events, stops: Sequence[str]) -> Events:
    """Yield ``events`` up to the first of ``stops`` in a text; then close them and end the answer.

    The usage at this early end consists of what was known at the start, and an estimate of the tokens since.
    """
    cutting = _Cutting(stops)
    async with aclosing(events):
        async for event in events:
            for given in cutting.take(event):
                yield given
            if cutting.found:
                break
    if cutting.found:
        yield cutting.usage
        yield Finished("tool_calls" if cutting.called else "stop", cutting.found)


class _Cutting:
    """Handles the events of an answer one by one."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.found = ""
        self.called = False
        self._stops = stops
        self._cutter = Cutter(stops)
        self._kind: PartKind = "text"
        self._prompt = Usage()
        self._tokens = 0.0

    @property
    def usage(self) -> Usage:
        """The numbers of tokens so far, partly estimated."""
        output = max(self._prompt.output_tokens, math.ceil(self._tokens))
        return msgspec.structs.replace(self._prompt, output_tokens=output)

    def take(self, event: Event) -> list[Event]:
        """Return the events to pass on for one event."""
        match event:
            case Started(usage=Usage() as usage):
                self._prompt = usage
            case PartStarted(kind=kind):
                self._kind, self._cutter = kind, Cutter(self._stops)
                self.called = self.called or kind == "tool_call"
            case PartDelta(index=index, text=text):
                self._tokens += text_tokens(text)
                return self._text(index, text) if self._kind == "text" else [event]
            case PartEnded(index=index) if rest := self._cutter.rest():
                return [PartDelta(index, rest), event]
            case _:
                pass
        return [event]

    def _text(self, index: int, text: str) -> list[Event]:
        passed = self._cutter.feed(text)
        events: list[Event] = [PartDelta(index, passed)] if passed else []
        self.found = self._cutter.found
        return [*events, PartEnded(index)] if self.found else events
