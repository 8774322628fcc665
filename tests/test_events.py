"""The grammar of events, and their fold."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    Folding,
    InternalError,
    Overloaded,
    PartDelta,
    PartEnded,
    PartStarted,
    Reasoning,
    Started,
    Text,
    ToolCall,
    Usage,
    fold,
)


STARTED = Started("m")
TEXT = PartStarted(0, "text")
DELTA = PartDelta(0, "a")
ENDED = PartEnded(0)
USAGE = Usage(1, 2)
FINISHED = Finished("stop")
FAILED = Failed(Overloaded("too much"))

PREFIXES: dict[str, tuple[list[Event], set[type]]] = {
    "nothing": ([], {Started, Failed}),
    "started": ([STARTED], {PartStarted, Usage, Finished, Failed}),
    "in a part": ([STARTED, TEXT], {PartDelta, PartEnded, Failed}),
    "in a part that has text": ([STARTED, TEXT, DELTA], {PartDelta, PartEnded, Failed}),
    "counted": ([STARTED, USAGE], {Finished, Failed}),
    "finished": ([STARTED, FINISHED], set()),
    "failed": ([FAILED], set()),
}
EVENTS: list[Event] = [STARTED, TEXT, DELTA, ENDED, USAGE, FINISHED, FAILED]


@pytest.mark.parametrize(("prefix", "event"), list(itertools.product(PREFIXES, EVENTS)))
def test_what_may_follow(prefix: str, event: Event) -> None:
    """After each prefix exactly the events of the grammar are taken, and all others refused."""
    before, allowed = PREFIXES[prefix]
    folding = Folding()
    for known in before:
        folding.add(known)
    if type(event) in allowed:
        folding.add(event)
    else:
        with pytest.raises(InternalError, match=type(event).__name__):
            folding.add(event)


@pytest.mark.parametrize(
    "events",
    [
        [STARTED, PartStarted(1, "text")],
        [STARTED, TEXT, PartDelta(1, "a")],
        [STARTED, TEXT, PartEnded(1)],
        [STARTED, TEXT, ENDED, PartStarted(0, "text")],
        [STARTED, TEXT, ENDED, PartStarted(2, "text")],
    ],
)
def test_indexes_count_from_zero(events: list[Event]) -> None:
    """An event of another part than the open or next one is refused."""
    with pytest.raises(InternalError, match="index"):
        fold(events)


@pytest.mark.parametrize("events", [[], [STARTED], [STARTED, TEXT, DELTA], [STARTED, USAGE]])
def test_a_stream_that_just_stops(events: list[Event]) -> None:
    """Events without Finished or Failed are no answer."""
    with pytest.raises(InternalError, match="stopped before"):
        fold(events)


def test_a_whole_reply() -> None:
    """The fold of a stream has its model, parts in order, usage and reason."""
    reply = fold(
        [
            Started("claude-x"),
            PartStarted(0, "reasoning"),
            PartDelta(0, "h"),
            PartDelta(0, "m"),
            PartEnded(0),
            PartStarted(1, "text"),
            PartDelta(1, "Hel"),
            PartDelta(1, "lo"),
            PartEnded(1),
            PartStarted(2, "tool_call", "call1", "read"),
            PartDelta(2, '{"path":'),
            PartDelta(2, '"a"}'),
            PartEnded(2),
            PartStarted(3, "tool_call", "call2", "now"),
            PartEnded(3),
            Usage(1, 2, 3, 4, 5),
            Finished("tool_calls"),
        ]
    )
    calls = [ToolCall("call1", "read", '{"path":"a"}'), ToolCall("call2", "now", "{}")]
    assert reply.parts == [Reasoning("hm"), Text("Hello"), *calls]
    assert (reply.model, reply.text, reply.reasoning, reply.tool_calls) == ("claude-x", "Hello", "hm", calls)
    assert (reply.usage, reply.reason, reply.error) == (Usage(1, 2, 3, 4, 5), "tool_calls", None)


def test_a_failure_keeps_its_error() -> None:
    """A failed stream folds to its error, without the part that was cut off."""
    reply = fold([STARTED, TEXT, DELTA, FAILED])
    assert reply.error is FAILED.error
    assert reply.parts == []


def test_the_prompt_counts_the_cache() -> None:
    """The tokens of the prompt are those sent, read from the cache and written to it."""
    assert Usage(1, 10, 2, 4).prompt_tokens == 7


@given(st.lists(st.lists(st.text(), max_size=4), max_size=4))
def test_however_it_is_cut(parts: list[list[str]]) -> None:
    """A text folds to the same, in however many pieces it comes."""

    def events(pieces: list[list[str]]) -> list[Event]:
        result: list[Event] = [STARTED]
        for index, texts in enumerate(pieces):
            result.append(PartStarted(index, "text"))
            result.extend(PartDelta(index, text) for text in texts)
            result.append(PartEnded(index))
        return [*result, FINISHED]

    assert fold(events(parts)) == fold(events([["".join(texts)] for texts in parts]))
