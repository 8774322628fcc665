"""The grammar of events, and how they are folded into a reply."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import (
    Event,
    Events,
    Failed,
    Finished,
    Folding,
    PartDelta,
    PartEnded,
    PartStarted,
    Reasoning,
    Started,
    Text,
    ToolCall,
    Usage,
    complete_part,
    fold,
)
from claude_max_proxy.errors import InternalError, Overloaded
from claude_max_proxy.events import Alternative, AlternativesFolding, Reply, collect


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
    """After each prefix exactly the events of the grammar are accepted, and all others refused."""
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
    """An event for a part other than the open or the next one is refused."""
    with pytest.raises(InternalError, match="index"):
        fold(events)


@pytest.mark.parametrize("events", [[], [STARTED], [STARTED, TEXT, DELTA], [STARTED, USAGE]])
def test_a_stream_that_just_stops(events: list[Event]) -> None:
    """Events without Finished or Failed are no answer."""
    with pytest.raises(InternalError, match="stopped before"):
        fold(events)


def test_a_whole_reply() -> None:
    """The reply has the stream's model, parts in order, usage and reason."""
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
    """A failed stream becomes its error, without the part that was cut off."""
    reply = fold([STARTED, TEXT, DELTA, FAILED])
    assert reply.error is FAILED.error
    assert reply.parts == []


def test_the_prompt_counts_the_cache() -> None:
    """The prompt's tokens are those sent, those read from the cache and those written to it, together."""
    assert Usage(1, 10, 2, 4).prompt_tokens == 7


def test_a_complete_part() -> None:
    """A part is its start, a delta for each text and its end, all of one index."""
    assert complete_part(TEXT, "a", "a") == [TEXT, DELTA, DELTA, ENDED]
    thought = PartStarted(3, "reasoning")
    assert complete_part(thought, signature="s", redacted=True) == [thought, PartEnded(3, "s", redacted=True)]


@given(st.lists(st.lists(st.text(), max_size=4), max_size=4))
def test_however_it_is_cut(parts: list[list[str]]) -> None:
    """A text becomes the same reply, in however many pieces it comes."""

    def events(pieces: list[list[str]]) -> list[Event]:
        result: list[Event] = [STARTED]
        for index, texts in enumerate(pieces):
            result += complete_part(PartStarted(index, "text"), *texts)
        return [*result, FINISHED]

    assert fold(events(parts)) == fold(events([["".join(texts)] for texts in parts]))


def several(*events: Event | Alternative) -> Reply:
    """Return two alternatives."""
    folding = AlternativesFolding(2)
    for event in events:
        folding.add(event)
    return folding.reply


ONE = (STARTED, TEXT, DELTA, ENDED, FINISHED)


def test_alternatives() -> None:
    """Each alternative adds up by itself; what they cost, and how they end, belongs to all of them."""
    first, second = ([Alternative(index, event) for event in ONE] for index in (0, 1))
    reply = several(*itertools.chain(*zip(first, second, strict=True)), USAGE, FINISHED)
    assert [one.text for one in reply.alternatives] == [fold(ONE).text] * 2
    assert (reply.usage, reply.error) == (USAGE, None)
    assert several(*first, Failed(error := InternalError("no"))).error is error


def test_one_answer_has_no_alternatives() -> None:
    """If only one answer is asked for, its events add up to the reply itself."""
    folding = AlternativesFolding()
    for event in ONE:
        folding.add(event)
    assert folding.reply == fold(ONE)


@pytest.mark.parametrize("event", [STARTED, TEXT, DELTA, FINISHED])
def test_what_belongs_to_no_alternative(event: Event) -> None:
    """Words belong to one of several answers, and the end comes after the end of each."""
    with pytest.raises(InternalError, match="belongs to none"):
        several(*(Alternative(0, one) for one in ONE), event)


@pytest.mark.parametrize("events", [[], [STARTED], [STARTED, TEXT, DELTA]])
async def test_a_backend_that_just_stops(events: list[Event]) -> None:
    """A backend whose events have no end gives no answer, either."""

    async def answer() -> Events:
        for event in events:
            yield event

    with pytest.raises(InternalError, match="stopped before"):
        await collect(answer())


async def test_a_backend_that_raises() -> None:
    """An error that a backend raises is the same as one that it yields."""
    error = InternalError("no")

    async def answer() -> Events:
        yield STARTED
        raise error

    reply = await collect(answer())
    assert (reply.model, reply.error) == (STARTED.model, error)
