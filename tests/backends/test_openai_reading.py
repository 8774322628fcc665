"""Reading an OpenAI-compatible answer: events for bytes, at once and byte by byte."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Event,
    PartDelta,
    PartStarted,
    ProxyError,
    RateLimited,
    Reasoning,
    Reply,
    Started,
    Text,
    ToolCall,
    Usage,
    fold,
)
from claude_max_proxy.backends.openai_api.reading import AnswerReader
from claude_max_proxy.errors import Overloaded, UpstreamFailed, UpstreamRefused


DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, reason: str | None = None, **fields: Any) -> bytes:
    """Return one event of a stream."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    return b"data: " + json.dumps({"model": "m", "choices": choices, **fields}).encode() + b"\n\n"


def call(
    index: int | None = None, id: str | None = None, name: str | None = None, arguments: Any = None
) -> Any:
    """Return the delta of one fragment of a call."""
    fragment: dict[str, Any] = {"type": "function", "function": {}}
    if index is not None:
        fragment["index"] = index
    if id is not None:
        fragment["id"] = id
    if name is not None:
        fragment["function"]["name"] = name
    if arguments is not None:
        fragment["function"]["arguments"] = arguments
    return {"tool_calls": [fragment]}


def text(*pieces: str) -> bytes:
    """Return chunks of text."""
    return b"".join(chunk({"content": piece}) for piece in pieces)


def stream(*deltas: dict[str, Any], reason: str = "tool_calls") -> bytes:
    """Return a whole stream of these deltas."""
    return b"".join(chunk(delta) for delta in deltas) + chunk({}, reason) + DONE


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
HELLO = [Text("Hello")]
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
CASES: list[tuple[str, bytes, list[Any], str, Usage | None]] = [
    ("text", ROLE + text("Hel", "lo") + STOP + DONE, HELLO, "stop", None),
    ("no [DONE]", text("Hello") + STOP, HELLO, "stop", None),
    ("no finish_reason", text("Hello") + DONE, HELLO, "stop", None),
    ("CRLF", (text("Hel", "lo") + STOP + DONE).replace(b"\n", b"\r\n"), HELLO, "stop", None),
    ("comments", b": PROCESSING\n\n" + text("Hello") + b": x\n\n" + STOP + DONE, HELLO, "stop", None),
    ("after [DONE]", text("Hello") + STOP + DONE + text("more"), HELLO, "stop", None),
    ("empty", ROLE + STOP + DONE, [], "stop", None),
    ("length", text("Hello") + chunk({}, "length") + DONE, HELLO, "length", None),
    ("filtered", text("Hello") + chunk({}, "content_filter") + DONE, HELLO, "content_filter", None),
    ("unknown reason", text("Hello") + chunk({}, "bored") + DONE, HELLO, "stop", None),
    ("reason with text", chunk({"content": "Hello"}, "stop") + DONE, HELLO, "stop", None),
    ("refusal", chunk({"refusal": "Hello"}, "stop") + DONE, HELLO, "stop", None),
    ("non-ASCII", text("grüße 🦀") + STOP + DONE, [Text("grüße 🦀")], "stop", None),
    (
        "usage",
        text("Hello") + STOP + chunk(None, usage=USAGE) + DONE,
        HELLO,
        "stop",
        Usage(5, 5, 4, 1, 3),
    ),
    (
        "usage in every chunk",
        chunk({"content": "Hello"}, usage={"completion_tokens": 1}) + chunk({}, "stop", usage=USAGE) + DONE,
        HELLO,
        "stop",
        Usage(5, 5, 4, 1, 3),
    ),
    (
        "reasoning",
        stream({"reasoning_content": "hm"}, {"reasoning_content": "."}, {"content": "Hello"}, reason="stop"),
        [Reasoning("hm."), Text("Hello")],
        "stop",
        None,
    ),
    (
        "reasoning by its other name",
        stream({"reasoning": "hm", "content": ""}, {"content": "Hello", "reasoning": None}, reason="stop"),
        [Reasoning("hm"), Text("Hello")],
        "stop",
        None,
    ),
    (
        "reasoning in parts",
        stream(
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
            {"content": [{"type": "text", "text": "Hello"}, {"type": "else"}]},
            reason="stop",
        ),
        [Reasoning("hm"), Text("Hello")],
        "stop",
        None,
    ),
    (
        "a call",
        stream(
            {"content": "Hello"},
            call(0, "c1", "f", ""),
            call(0, None, None, '{"a":'),
            call(0, None, None, "1}"),
        ),
        [Text("Hello"), ToolCall("c1", "f", '{"a":1}')],
        "tool_calls",
        None,
    ),
    (
        "a call that ends in stop",
        stream(call(0, "c1", "f", "{}"), reason="stop"),
        [ToolCall("c1", "f", "{}")],
        "tool_calls",
        None,
    ),
    ("tool_calls without one", stream({"content": "Hello"}), HELLO, "stop", None),
    (
        "calls one after the other",
        stream(
            call(0, "c1", "f", ""),
            call(0, None, None, '{"a":1}'),
            call(1, "c2", "g", ""),
            call(1, None, None, "{}"),
        ),
        [ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "g", "{}")],
        "tool_calls",
        None,
    ),
    (
        "calls that interleave",
        stream(
            call(0, "c1", "f", ""),
            call(1, "c2", "g", ""),
            call(0, None, None, '{"a":'),
            call(1, None, None, '{"b":'),
            call(1, None, None, "2}"),
            {"content": "Hello"},
            call(0, None, None, "1}"),
        ),
        [ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "g", '{"b":2}'), Text("Hello")],
        "tool_calls",
        None,
    ),
    (
        "calls without arguments",
        stream(call(0, "c1", "f"), call(1, "c2", "g", "")),
        [ToolCall("c1", "f", "{}"), ToolCall("c2", "g", "{}")],
        "tool_calls",
        None,
    ),
    (
        "calls that are all number 0",
        stream(call(0, "c1", "f", "{}"), call(0, "c2", "f", '{"a":1}')),
        [ToolCall("c1", "f", "{}"), ToolCall("c2", "f", '{"a":1}')],
        "tool_calls",
        None,
    ),
    (
        "calls without a number",
        stream(call(None, "c1", "f", "{"), call(None, "", "", "}"), call(None, "c2", "f", "{}")),
        [ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}")],
        "tool_calls",
        None,
    ),
    (
        "an id and a name that are repeated",
        stream(call(0, "c1", "f", "{"), call(0, "c1", "f", "}")),
        [ToolCall("c1", "f", "{}")],
        "tool_calls",
        None,
    ),
    (
        "arguments as an object",
        stream(call(0, "c1", "f", {"a": [1]})),
        [ToolCall("c1", "f", '{"a":[1]}')],
        "tool_calls",
        None,
    ),
    (
        "arguments without a call",
        stream(call(0, None, None, "{}"), {"content": "Hello"}),
        HELLO,
        "stop",
        None,
    ),
    (
        "a whole document",
        json.dumps(
            {
                "model": "m",
                "choices": [
                    {
                        "message": {
                            "reasoning_content": "hm",
                            "content": "Hello",
                            "tool_calls": [
                                {"id": "c1", "function": {"name": "f", "arguments": "{}"}},
                                {"id": "c2", "function": {"name": "f", "arguments": ""}},
                            ],
                        },
                        "finish_reason": "tool_calls",
                    }
                ],
                "usage": USAGE,
            },
            indent=1,
        ).encode(),
        [Reasoning("hm"), Text("Hello"), ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}")],
        "tool_calls",
        Usage(5, 5, 4, 1, 3),
    ),
]


def read(wire: bytes, size: int) -> tuple[list[Event], AnswerReader]:
    """Read an answer in pieces of this size."""
    reader = AnswerReader("my")
    events = []
    for start in range(0, len(wire), size):
        events += reader.feed(wire[start : start + size])
    return events + reader.finish(), reader


def reply(wire: bytes, size: int = 10**9) -> Reply:
    """Read an answer, and check the grammar."""
    return fold(read(wire, size)[0])


@pytest.mark.parametrize("size", [10**9, 1, 7])
@pytest.mark.parametrize(
    ("wire", "parts", "reason", "usage"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_answers(wire: bytes, parts: list[Any], reason: str, usage: Usage | None, size: int) -> None:
    """Every form of answer is read into its parts, wherever the bytes are cut."""
    read = reply(wire, size)
    assert read.error is None
    assert (read.model, read.parts, read.reason, read.usage) == ("m", parts, reason, usage)


BROKEN: list[tuple[str, bytes, type[ProxyError], str]] = [
    ("cut", ROLE + text("Hel"), UpstreamFailed, "stopped before its end"),
    ("nothing", b"", UpstreamFailed, "stopped before its end"),
    ("only [DONE]", DONE, UpstreamFailed, "empty"),
    ("an error", text("Hel") + b'data: {"error":{"code":429,"message":"slow"}}\n\n', RateLimited, "slow"),
    ("a named error", b'event: error\ndata: {"message":"m","code":503}\n\n', Overloaded, "m"),
    ("a bare error", b'data: {"object":"error","message":"m","code":400}\n\n', UpstreamRefused, "m"),
    ("an error and [DONE]", b'data: {"error":"m"}\n\n' + DONE, UpstreamFailed, "m"),
    ("an error as the reason", chunk({}, "error") + DONE, UpstreamFailed, "in the middle"),
    ("an error for a document", b'{"error":{"message":"m"}}', UpstreamFailed, "m"),
    ("a page", b"<html></html>", UpstreamFailed, "cannot be read"),
    ("half a document", b'{"choices":[', UpstreamFailed, "cannot be read"),
]


@pytest.mark.parametrize("size", [10**9, 1])
@pytest.mark.parametrize(("wire", "kind", "words"), [case[1:] for case in BROKEN], ids=[c[0] for c in BROKEN])
def test_failures(wire: bytes, kind: type[ProxyError], words: str, size: int) -> None:
    """A bad end of a stream becomes the matching error, once, and the reader has ended."""
    events, reader = read(wire, size)
    error = fold(events).error
    assert type(error) is kind
    assert words in error.message
    assert reader.error is error
    assert reader.ended


@pytest.mark.parametrize("wire", [b"data: {nonsense}\n\n", b"data: [1]\n\n", b"data: \xff\n\n"])
def test_nonsense(wire: bytes) -> None:
    """An event that is no chunk is an error for the HTTP client to report."""
    with pytest.raises((msgspec.DecodeError, ValueError)):
        AnswerReader("my").feed(wire)


def test_deltas_are_told_as_they_come() -> None:
    """Text and the arguments of the open call are not held back."""
    reader = AnswerReader("my")
    assert reader.feed(text("a")) == [Started("m"), PartStarted(0, "text"), PartDelta(0, "a")]
    assert reader.feed(text("b")) == [PartDelta(0, "b")]
    assert reader.feed(chunk(call(0, "c1", "f", "")))[-1] == PartStarted(1, "tool_call", "c1", "f")
    assert reader.feed(chunk(call(0, None, None, "{"))) == [PartDelta(1, "{")]
    assert not reader.ended


def test_ids_are_made() -> None:
    """A call without an id gets one that every client accepts."""
    (made,) = reply(stream(call(0, None, "f", "{}"))).tool_calls
    assert made.id[:4] == "call"
    assert len(made.id) == 28
    assert made.id.isalnum()
