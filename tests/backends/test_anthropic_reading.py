"""Reading an answer of the Messages API: events for bytes, at once and byte by byte."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    PartDelta,
    PartStarted,
    ProxyError,
    Reasoning,
    Started,
    Text,
    ToolCall,
    Usage,
    fold,
)
from claude_max_proxy.backends.anthropic_api.reading import AnswerReader
from claude_max_proxy.errors import ContextLengthExceeded, Overloaded, UpstreamFailed
from claude_max_proxy.testing import RedactedThinking, Reply, Thinking, ToolUse, stream
from claude_max_proxy.testing import Text as Said


def wire(*blocks: Any, **fields: Any) -> bytes:
    """Return a whole stream of these blocks."""
    return b"".join(stream(Reply(blocks, **fields), "m"))


def event(name: str, **fields: Any) -> bytes:
    """Return one event."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


START = event("message_start", message={"model": "m", "usage": {"input_tokens": 1}})
STOP = event("message_stop")
CALL = ToolUse("f", {"a": 1}, "toolu_1")
ANSWER = ToolUse("answer", {"city": "Bern"}, "toolu_2")
CASES: list[tuple[str, bytes, list[Any], str]] = [
    ("text", wire(Said("Hello you")), [Text("Hello you")], "stop"),
    ("CRLF", wire(Said("Hello")).replace(b"\n", b"\r\n"), [Text("Hello")], "stop"),
    (
        "thinking",
        wire(Thinking("hm"), Said("Hello")),
        [Reasoning("hm", "signed-2"), Text("Hello")],
        "stop",
    ),
    (
        "redacted",
        wire(RedactedThinking("EoF="), Said("a")),
        [Reasoning("", "EoF=", redacted=True), Text("a")],
        "stop",
    ),
    ("a call", wire(Said("a"), CALL), [Text("a"), ToolCall("toolu_1", "f", '{"a":1}')], "tool_calls"),
    ("a call of nothing", wire(ToolUse("f", {}, "t")), [ToolCall("t", "f", "{}")], "tool_calls"),
    ("length", wire(Said("a"), stop_reason="max_tokens"), [Text("a")], "length"),
    ("refusal", wire(stop_reason="refusal"), [], "content_filter"),
    ("pause", wire(Said("a"), stop_reason="pause_turn"), [Text("a")], "stop"),
    (
        "a call at once",
        START
        + event(
            "content_block_start",
            content_block={"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        )
        + event("content_block_stop")
        + STOP,
        [ToolCall("t", "f", '{"a":1}')],
        "tool_calls",
    ),
    (
        "what is new",
        START
        + event("content_block_start", content_block={"type": "hologram"})
        + event("content_block_delta", delta={"type": "light_delta", "text": "x"})
        + event("content_block_stop")
        + event("news")
        + STOP,
        [],
        "stop",
    ),
]


def read(wire: bytes, size: int, tool: str = "") -> Any:
    """Read an answer in pieces of this size, and check the grammar."""
    reader = AnswerReader("my", tool)
    events = []
    for start in range(0, len(wire), size):
        events += reader.feed(wire[start : start + size])
    return fold(events + reader.finish())


@pytest.mark.parametrize("size", [10**9, 1, 7])
@pytest.mark.parametrize(("wire", "parts", "reason"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_answers(wire: bytes, parts: list[Any], reason: str, size: int) -> None:
    """Every form of answer is read into its parts, wherever the bytes are cut."""
    reply = read(wire, size)
    assert reply.error is None
    assert (reply.model, reply.parts, reply.reason) == ("m", parts, reason)


def test_usage() -> None:
    """The tokens are those of the last event that states them."""
    reply = read(wire(Said("a"), input_tokens=3, output_tokens=9, cache_read=5, cache_write=7), 100)
    assert reply.usage == Usage(3, 9, 5, 7)
    counted = event(
        "message_delta", usage={"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    )
    assert read(START + counted + STOP, 100).usage == Usage(1, 9, 0, 0, 4)


def test_a_structured_answer() -> None:
    """The input of the answer's tool is the text, and what the model writes in addition is left out."""
    reply = read(wire(Thinking("hm"), Said("Sure:"), ANSWER), 5, "answer")
    assert reply.parts == [Reasoning("hm", "signed-2"), Text('{"city":"Bern"}')]
    assert reply.reason == "stop"


def test_a_call_instead_of_a_structured_answer() -> None:
    """The model may call one of the client's tools first."""
    reply = read(wire(CALL), 5, "answer")
    assert (reply.parts, reply.reason) == ([ToolCall("toolu_1", "f", '{"a":1}')], "tool_calls")


@pytest.mark.parametrize("size", [10**9, 1])
@pytest.mark.parametrize(
    ("wire", "kind"),
    [
        (b"", UpstreamFailed),
        (START, UpstreamFailed),
        (wire(Said("a b c"))[:-60], UpstreamFailed),
        (START + event("error", error={"type": "overloaded_error", "message": "Overloaded"}), Overloaded),
        (
            event("error", error={"type": "invalid_request_error", "message": "prompt is too long"}),
            ContextLengthExceeded,
        ),
    ],
)
def test_failures(wire: bytes, kind: type[ProxyError], size: int) -> None:
    """A stream that stops, or reports a failure, ends in the matching error."""
    assert type(read(wire, size).error) is kind


@pytest.mark.parametrize("wire", [b"<html>", b' {"type":"message"}', b"data: {}\n\n", b"data: x\n\n"])
def test_nonsense(wire: bytes) -> None:
    """What is not a stream of this API is an error for the HTTP client to report."""
    with pytest.raises((msgspec.DecodeError, ValueError)):
        AnswerReader("my").feed(wire)


def test_deltas_are_told_as_they_come() -> None:
    """Deltas are not held back until the end of their block."""
    reader = AnswerReader("my")
    assert reader.feed(START) == [Started("m", usage=Usage(1))]
    started = event("content_block_start", content_block={"type": "text", "text": ""})
    assert reader.feed(started) == [PartStarted(0, "text")]
    assert reader.feed(event("content_block_delta", delta={"text": "a"})) == [PartDelta(0, "a")]
    assert not reader.ended


def test_a_stop_sequence() -> None:
    """The stop sequence that ended an answer is reported."""
    reply = read(wire(Said("a"), stop_reason="stop_sequence", stop_sequence="END"), 10**9)
    assert (reply.reason, reply.stop_sequence) == ("stop", "END")
