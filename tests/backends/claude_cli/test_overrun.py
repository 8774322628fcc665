"""Where the CLI would ask the model again although the answer is over."""

from __future__ import annotations

import pytest

from claude_max_proxy.anthropic_messages import ContentBlock, Delta, StreamEvent
from claude_max_proxy.backends.claude_cli.overrun import Overrun
from claude_max_proxy.backends.claude_cli.protocol import Line


START = StreamEvent("message_start")
CALL = StreamEvent("content_block_start", content_block=ContentBlock("tool_use", name="look"))
THOUGHT = StreamEvent("content_block_delta", delta=Delta(thinking="hm", signature="s"))
BLANK = StreamEvent("content_block_delta", delta=Delta(text=" \n"))
WORD = StreamEvent("content_block_delta", delta=Delta(text="a"))
WORD_AT_ONCE = StreamEvent("content_block_start", content_block=ContentBlock("text", text="a"))


def end(reason: str | None = "end_turn") -> StreamEvent:
    """Return the event that ends a message."""
    return StreamEvent("message_delta", delta=Delta(stop_reason=reason))


def begins(overrun: Overrun, events: list[StreamEvent], parent: str | None = None) -> list[bool]:
    """Return what is said of each event."""
    lines = (Line("stream_event", event=event, parent_tool_use_id=parent) for event in events)
    return [overrun.begins(line) for line in lines]


@pytest.mark.parametrize(
    ("events", "over"),
    [
        ([START, end()], True),
        ([START, THOUGHT, end()], True),
        ([START, BLANK, end("stop_sequence")], True),
        ([START, BLANK, WORD, BLANK, end()], False),
        ([START, WORD_AT_ONCE, end()], False),
        ([START, THOUGHT, CALL, end("tool_use")], False),
        ([START, WORD, end("max_tokens")], True),
        ([START, WORD, end("refusal")], True),
        ([START, end(None)], False),
        ([START, StreamEvent("message_delta")], False),
        ([START, WORD, end(), START, end()], True),
    ],
)
def test_answers(events: list[StreamEvent], over: bool) -> None:
    """The CLI asks again after an answer that says nothing, and after one that was cut off or refused."""
    assert begins(Overrun(), events) == [False] * (len(events) - 1) + [over]


def test_what_is_meant() -> None:
    """Where the CLI is meant to go on after a message that says nothing, it still stops at a limit."""
    overrun = Overrun()
    overrun.meant = True
    assert begins(overrun, [START, end()]) == [False, False]
    assert begins(overrun, [START, end("max_tokens")]) == [False, True]


def test_what_belongs_to_no_answer() -> None:
    """An agent's own agents, and lines without an event, say nothing about the answer."""
    overrun = Overrun()
    assert not overrun.begins(Line("result"))
    assert begins(overrun, [START, end("max_tokens")], parent="t") == [False, False]
    assert begins(overrun, [START, WORD]) == [False, False]
    assert begins(overrun, [START], parent="t") == [False]
    assert begins(overrun, [end()]) == [False]
