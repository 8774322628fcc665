"""One turn: the events of the upstream's stream become ours."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Agent,
    Event,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Request,
    Started,
    Tool,
    Usage,
    complete_part,
    fold,
)
from claude_max_proxy.anthropic_messages import StreamEvent
from claude_max_proxy.backends.claude_cli.turn import Turn


READ = Tool("read")


def turn(**fields: Any) -> Turn:
    """Return a turn of a request with one tool."""
    return Turn(Request("m", tools=[READ], **{"stream": True, **fields}), live=False, queued=0.25)


def read(into: Turn, *events: dict[str, Any]) -> list[Event]:
    """Return what these events of the upstream become."""
    return [
        event for given in events for event in into.read(msgspec.convert(given, StreamEvent, strict=False))
    ]


def start(**usage: int) -> dict[str, Any]:
    """Return the head of a message."""
    return {"type": "message_start", "message": {"model": "claude-x", "usage": usage}}


def block(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    """Return the start of a block."""
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}}


def delta(index: int, **fields: str) -> dict[str, Any]:
    """Return more of a block."""
    return {"type": "content_block_delta", "index": index, "delta": {"type": "x", **fields}}


def stop(index: int) -> dict[str, Any]:
    """Return the end of a block."""
    return {"type": "content_block_stop", "index": index}


def end(reason: str, **usage: int) -> dict[str, Any]:
    """Return the end of a message."""
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


def test_a_text() -> None:
    """A text block becomes a text part."""
    used = turn()
    events = read(
        used,
        start(input_tokens=5, cache_read_input_tokens=7, output_tokens=1),
        {"type": "ping"},
        block(0, "text", text=""),
        delta(0, text="Hel"),
        delta(0, text=""),
        delta(0, text="lo"),
        stop(0),
        end("end_turn", output_tokens=9),
        {"type": "message_stop"},
    )
    assert events == [
        Started("claude-x", live=False, queued=0.25, usage=Usage(5, 1, 7, 0)),
        *complete_part(PartStarted(0, "text"), "Hel", "lo"),
    ]
    assert (used.reason, used.usage) == ("stop", Usage(5, 9, 7, 0))


def test_a_text_that_begins_at_once() -> None:
    """Text that comes with the start of its block is not lost."""
    events = read(turn(), start(), block(0, "text", text="Hi"), stop(0))
    assert fold([*events, Finished("stop")]).text == "Hi"


def test_thinking() -> None:
    """A thinking block becomes a reasoning part; its signature is not checked."""
    events = read(
        turn(), start(), block(0, "thinking"), delta(0, thinking="hm"), delta(0, signature="abc"), stop(0)
    )
    assert fold([*events, Finished("stop")]).reasoning == "hm"
    assert len(events) == 4


def test_tool_calls() -> None:
    """A call gets an id that every client keeps, and the upstream's own id is remembered."""
    used = turn()
    events = read(
        used,
        start(),
        block(0, "tool_use", id="toolu_01_-x", name="read"),
        delta(0, partial_json='{"a":'),
        delta(0, partial_json="1}"),
        stop(0),
        block(1, "tool_use", id="toolu_02", name="read"),
        stop(1),
        end("tool_use"),
    )
    calls = fold([*events, Finished("tool_calls")]).tool_calls
    assert [call.arguments for call in calls] == ['{"a":1}', "{}"]
    assert list(used.ids) == [call.id for call in calls]
    assert list(used.ids.values()) == ["toolu_01_-x", "toolu_02"]
    assert all(re.fullmatch(r"call[A-Za-z0-9]{24}", call.id) for call in calls)
    assert (used.reason, used.stray) == ("tool_calls", False)


def test_a_tool_with_a_name_of_its_own() -> None:
    """A tool whose name the upstream does not accept is called by the client's name."""
    request = Request("m", tools=[Tool("read file!")], stream=True)
    used = Turn(request, live=False, queued=0)
    events = read(
        used, start(), block(0, "tool_use", id="t", name=used.names.upstream("read file!")), stop(0)
    )
    assert fold([*events, Finished("tool_calls")]).tool_calls[0].name == "read file!"


def test_a_tool_that_nobody_offered() -> None:
    """A call of an unknown tool is passed on and marked, since the CLI would answer it by itself."""
    used = turn()
    read(used, start(), block(0, "tool_use", id="t", name="rm"))
    assert used.stray


@pytest.mark.parametrize("arguments", ['{"a": ', "[]", "a", "[" * 100_000])
def test_broken_arguments(arguments: str) -> None:
    """A call whose arguments are no object is passed on and marked, since the CLI would answer it."""
    used = turn()
    call = block(0, "tool_use", id="toolu_1", name="read")
    events = read(used, start(), call, delta(0, partial_json=arguments), stop(0))
    assert PartDelta(0, arguments) in events
    assert used.stray


def test_what_we_do_not_know() -> None:
    """Blocks and events of unknown kinds are skipped with everything that belongs to them."""
    events = read(
        turn(),
        start(),
        block(0, "server_tool_use", id="x", name="search"),
        delta(0, partial_json="{}"),
        stop(0),
        {"type": "something_new"},
        block(1, "text"),
        delta(1, text="a"),
        stop(1),
    )
    assert fold([*events, Finished("stop")]).text == "a"


def test_messages_after_each_other() -> None:
    """A turn of several messages is one answer: one start, continuous indexes, the newest usage."""
    used = turn()
    events = read(
        used,
        start(input_tokens=1),
        block(0, "text"),
        delta(0, text="a"),
        stop(0),
        end("tool_use", output_tokens=3),
        start(input_tokens=5),
        block(0, "text"),
        delta(0, text="b"),
        stop(0),
        end("end_turn", output_tokens=4),
    )
    reply = fold([*events, Finished("stop")])
    assert reply.text == "ab"
    assert used.usage == Usage(5, 4)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_reasons(given: str, reason: str) -> None:
    """The upstream's reason for the end is mapped to ours."""
    used = turn()
    read(used, start(), end(given))
    assert used.reason == reason


def test_a_part_that_is_cut_off() -> None:
    """Closing ends the part that is open, once."""
    used = turn()
    read(used, start(), block(0, "text"))
    assert used.close() == [PartEnded(0)]
    assert used.close() == []


def test_nulls_do_not_forget() -> None:
    """Usage that is null or missing in a later event does not reset what was counted."""
    used = turn()
    read(used, start(input_tokens=5), {"type": "message_delta", "usage": {"input_tokens": None}})
    read(used, {"type": "message_delta", "usage": {"output_tokens_details": {"thinking_tokens": 3}}})
    assert used.usage == Usage(5, reasoning_tokens=3)


ANSWER = [
    start(),
    block(0, "text"),
    delta(0, text="Here it is."),
    stop(0),
    block(1, "tool_use", id="t", name="StructuredOutput"),
    delta(1, partial_json='{"a":'),
    delta(1, partial_json="1}"),
    stop(1),
    end("tool_use"),
]


@pytest.mark.parametrize("stream", [True, False])
def test_a_structured_answer(stream: bool) -> None:
    """The input of the CLI's own tool is the text; other text is left out, and there is no call."""
    used = turn(response_schema={}, stream=stream)
    events = read(used, *ANSWER)
    held = used.release()
    assert bool(held) is not stream
    assert used.holds_answer
    assert fold([*events, *held, Finished("stop")]).text == '{"a":1}'
    assert (used.ids, used.reason) == ({}, "stop")


def test_a_structured_answer_that_is_given_again() -> None:
    """Of several tries of a whole answer the last one counts."""
    used = turn(response_schema={}, stream=False)
    again = [{**event} for event in ANSWER[4:]]
    again[1] = delta(1, partial_json='{"b":')
    events = read(used, *ANSWER, start(), *again)
    assert fold([*events, *used.release(), Finished("stop")]).text == '{"b":1}'


def test_what_an_agent_does_by_itself() -> None:
    """An agent's use of its own tools is not shown, and is no fault; the answer goes on after it."""
    used = turn(agent=Agent(("Grep",), "."))
    events = read(
        used,
        start(),
        block(0, "text", text="I look."),
        stop(0),
        block(1, "tool_use", id="t", name="Grep"),
        delta(1, partial_json='{"pattern":"a"}'),
        stop(1),
        end("tool_use"),
        start(),
        block(0, "text", text="Found."),
        stop(0),
        end("end_turn"),
    )
    reply = fold([*events, Finished("stop")])
    assert (reply.text, reply.tool_calls) == ("I look.\n\nFound.", [])
    assert (used.stray, used.goes_on, used.reason) == (False, True, "stop")
