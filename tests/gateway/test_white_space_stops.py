"""Stop sequences of white space: answers end before them, wherever the pieces are cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import (
    Backend,
    Event,
    Events,
    Finished,
    PartDelta,
    PartStarted,
    Request,
    Started,
    Usage,
    complete_part,
    fold,
)
from claude_max_proxy.gateway import white_space_stops
from claude_max_proxy.gateway.white_space_stops import Cutter, cut


LETTERS = " \n\tab"
STOPS = st.lists(st.text(" \n\t", min_size=1, max_size=4), min_size=1, max_size=3)


def pieces_of(text: str, cuts: Iterable[int]) -> list[str]:
    """Cut a text at these places."""
    places = sorted({0, len(text), *(place for place in cuts if place < len(text))})
    return [text[start:end] for start, end in itertools.pairwise(places)]


def passed(cutter: Cutter, pieces: Iterable[str]) -> str:
    """Pass the pieces to a cutter, up to the one in which it finds a stop."""
    given_ = ""
    for piece in pieces:
        given_ += cutter.feed(piece)
        if cutter.found:
            return given_
    return given_ + cutter.rest()


def oracle(text: str, wanted: list[str]) -> tuple[str, str]:
    """Return what is left of a text, and what ended it, computed by a simpler method."""
    for end in range(len(text) + 1):
        found = [stop for stop in wanted if text[:end].endswith(stop)]
        if found:
            longest = max(found, key=len)
            return text[: end - len(longest)], longest
    return text, ""


@given(st.text(LETTERS, max_size=30), STOPS, st.lists(st.integers(0, 30), max_size=8))
def test_any_pieces(text: str, wanted: list[str], cuts: list[int]) -> None:
    """However a text is cut up, also letter by letter, it ends in the same place."""
    for pieces in (pieces_of(text, cuts), list(text), [text]):
        cutter = Cutter(wanted)
        assert (passed(cutter, pieces), cutter.found) == oracle(text, wanted)


@given(st.text(LETTERS, max_size=30), STOPS)
def test_nothing_is_held_longer_than_need_be(text: str, wanted: list[str]) -> None:
    """Only text that may still become a stop is held back."""
    cutter = Cutter(wanted)
    given_ = ""
    for letter in text:
        given_ += cutter.feed(letter)
        if cutter.found:
            break
        held = cutter._held
        assert any(stop.startswith(held) and stop != held for stop in wanted)
        assert not any(
            stop.startswith((text[len(given_) - 1 : len(given_)] or "x") + held) for stop in wanted
        )


class Scripted(Backend):
    """A backend that yields given events, and records what it was asked and whether it was closed."""

    def __init__(self, *events: Event) -> None:
        self.events = events
        self.asked: list[Request] = []
        self.said: list[Event] = []
        self.closed = False

    async def answer(self, request: Request, model: str) -> Events:
        """Yield the events."""
        self.asked.append(request)
        try:
            for event in self.events:
                self.said.append(event)
                yield event
        finally:
            self.closed = True


async def asked(backend: Any, *wanted: str) -> list[Event]:
    """Ask with these stops, and return every event."""
    request = Request("m", stop=list(wanted))
    return [event async for event in white_space_stops.events_of(backend, request, "m")]


def text(*pieces: str, index: int = 0, kind: Any = "text") -> list[Event]:
    """Return a part of an answer."""
    call = ("c", "look") if kind == "tool_call" else ("", "")
    return complete_part(PartStarted(index, kind, *call), *pieces)


BEGUN = Started("m", usage=Usage(7, 1, 3, 2))
END: list[Event] = [Usage(7, 90, 3, 2), Finished("stop")]


async def test_a_stop_over_pieces() -> None:
    """The answer ends before the stop, with its reason and the known token counts, and nothing more."""
    rest = text("more", index=1)
    backend = Scripted(BEGUN, *text("one\n", "\ntwo", " three"), *rest, *END)
    events = await asked(backend, "\n\n")
    assert events == [
        BEGUN,
        *complete_part(PartStarted(0, "text"), "one"),
        Usage(7, 3, 3, 2),
        Finished("stop", "\n\n"),
    ]
    assert backend.closed
    assert backend.said[-1] == PartDelta(0, "\ntwo")
    assert fold(events).text == "one"


async def test_no_stop_in_the_text() -> None:
    """Text that was held back is sent at the end of its part; a stop does not span two parts."""
    backend = Scripted(BEGUN, *text("one\n"), *text("\ntwo \n", index=1), *END)
    events = await asked(backend, "\n\n")
    assert fold(events).parts == fold(backend.events).parts
    assert events[-2:] == END
    assert [event for event in events if isinstance(event, PartDelta)] == [
        PartDelta(0, "one"),
        PartDelta(0, "\n"),
        PartDelta(1, "\ntwo "),
        PartDelta(1, "\n"),
    ]


async def test_only_text_is_cut() -> None:
    """Only text is cut, not thoughts or arguments; after a call, the reason stays ``tool_calls``."""
    thought = text("a\n\nb", kind="reasoning")
    call = text('{"a":\n\n1}', index=1, kind="tool_call")
    backend = Scripted(BEGUN, *thought, *call, *text("c\n\nd", index=2), *END)
    events = await asked(backend, "\n\n")
    assert events[: len(thought) + len(call) + 1] == [BEGUN, *thought, *call]
    assert fold(events).text == "c"
    assert events[-1] == Finished("tool_calls", "\n\n")


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ([], []),
        (["END"], ["END"]),
        ([" END "], [" END "]),
        (["END", "\n", "", "\ufeff"], ["END"]),
    ],
)
async def test_what_the_backend_sees(wanted: list[str], sent: list[str]) -> None:
    """A backend gets only the stops that have other characters; the client's request stays unchanged."""
    backend = Scripted(BEGUN, *text("a"), *END)
    request = Request("m", stop=wanted)
    events = [event async for event in white_space_stops.events_of(backend, request, "m")]
    assert events == list(backend.events)
    assert backend.asked[0].stop == sent
    assert request.stop == wanted


async def test_a_backend_that_takes_any() -> None:
    """A backend with ``any_stop`` gets every stop, and its answer passes unchanged."""
    backend: Any = Scripted(BEGUN, *text("a\n\nb"), *END)
    backend.any_stop = True
    assert await asked(backend, "\n\n") == list(backend.events)
    assert backend.asked[0].stop == ["\n\n"]


async def test_a_client_that_leaves() -> None:
    """Closing the cut answer closes the backend's answer."""
    backend = Scripted(BEGUN, *text("a", "b"), *END)
    events = cut(backend.answer(Request("m"), "m"), ["\n"])
    async for _ in events:
        break
    await events.aclose()
    assert backend.closed
