"""Events, written as the Messages API writes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    BackendUnavailable,
    BodyTooLarge,
    Busy,
    ContextLengthExceeded,
    Event,
    Failed,
    Finished,
    InternalError,
    InvalidKey,
    InvalidRequest,
    NotFound,
    Overloaded,
    PartDelta,
    PartEnded,
    PartStarted,
    ProxyError,
    RateLimited,
    Started,
    UpstreamTimeout,
    Usage,
    fold,
)
from claude_max_proxy.backends.anthropic_api.reading import AnswerReader
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages
from claude_max_proxy.dialects.anthropic_messages.writing import MessageWriter


DIALECT = AnthropicMessages()
EVENTS: list[Event] = [
    Started("upstream"),
    PartStarted(0, "reasoning"),
    PartDelta(0, "Let me "),
    PartDelta(0, "see."),
    PartEnded(0, "sig"),
    PartStarted(1, "reasoning"),
    PartEnded(1, "EoF=", redacted=True),
    PartStarted(2, "text"),
    PartDelta(2, 'He said "hi"'),
    PartEnded(2),
    PartStarted(3, "tool_call", "call.1", "look"),
    PartDelta(3, '{"a":'),
    PartDelta(3, "1}"),
    PartEnded(3),
    PartStarted(4, "tool_call", "call2", "look"),
    PartEnded(4),
    Usage(10, 20, 30, 40, 5),
    Finished("tool_calls"),
]
USAGE = {
    "input_tokens": 10,
    "cache_creation_input_tokens": 40,
    "cache_read_input_tokens": 30,
    "output_tokens": 20,
    "output_tokens_details": {"thinking_tokens": 5},
}
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Let me see.", "signature": "sig"},
    {"type": "redacted_thinking", "data": "EoF="},
    {"type": "text", "text": 'He said "hi"'},
    {"type": "tool_use", "id": "call_1", "name": "look", "input": {"a": 1}},
    {"type": "tool_use", "id": "call2", "name": "look", "input": {}},
]


def streamed(events: list[Event], **options: Any) -> list[dict[str, Any]]:
    """The events that a stream carries; each one's name is its type."""
    writer = MessageWriter("m", **options)
    found = []
    for frame in b"".join(writer.write(event) for event in events).split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        found.append(msgspec.json.decode(data.removeprefix(b"data: ")))
        assert name.removeprefix(b"event: ").decode() == found[-1]["type"]
    return found


def whole(events: list[Event], **options: Any) -> dict[str, Any]:
    """A whole answer."""
    message: dict[str, Any] = msgspec.json.decode(MessageWriter("m", **options).whole(fold(events)))
    return message


def test_a_whole_message() -> None:
    """A whole answer is a message with its blocks, why it ended, and what it cost."""
    message = whole(EVENTS)
    assert message.pop("id").startswith("msg_")
    assert message == {
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": BLOCKS,
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": USAGE,
    }


def test_a_stream() -> None:
    """A streamed answer begins and ends as the API's does, and its blocks do not overlap."""
    events = streamed(EVENTS)
    assert events[0]["message"] == {
        "id": events[0]["message"]["id"],
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": dict.fromkeys(list(USAGE)[:4], 0),
    }
    assert [(event["type"], event["index"]) for event in events[1:-2] if "delta" not in event["type"]] == [
        (f"content_block_{what}", index) for index in range(5) for what in ("start", "stop")
    ]
    assert events[-2:] == [
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": USAGE,
        },
        {"type": "message_stop"},
    ]


def test_what_is_written_can_be_read() -> None:
    """The backend that speaks the API reads from our stream what went into it."""
    writer, reader = MessageWriter("m"), AnswerReader("b")
    events = reader.feed(b"".join(writer.write(event) for event in EVENTS))
    reply, expected = fold(events), fold(EVENTS)
    assert reply.parts[:3] == expected.parts[:3]
    assert [call.arguments for call in reply.tool_calls] == [call.arguments for call in expected.tool_calls]
    assert (reply.usage, reply.reason) == (expected.usage, expected.reason)


SEEN: list[tuple[str, list[dict[str, Any]]]] = [
    ("all", BLOCKS[:3]),
    ("signatures", [{**BLOCKS[0], "thinking": ""}, *BLOCKS[1:3]]),
    ("none", BLOCKS[2:3]),
]


@pytest.mark.parametrize(("thoughts", "blocks"), SEEN)
def test_what_is_seen_of_thoughts(thoughts: str, blocks: list[dict[str, Any]]) -> None:
    """Who did not ask for thoughts sees none, and who wants none to read gets their proofs alone."""
    assert whole(EVENTS, thoughts=thoughts)["content"][: len(blocks)] == blocks
    starts = [
        event for event in streamed(EVENTS, thoughts=thoughts) if event["type"] == "content_block_start"
    ]
    assert [start["index"] for start in starts] == list(range(len(starts)))
    assert [start["content_block"]["type"] for start in starts][: len(blocks)] == [b["type"] for b in blocks]


def test_a_thought_without_words_or_proof() -> None:
    """Nothing is written of a thought of which there is nothing."""
    events: list[Event] = [Started("m"), PartStarted(0, "reasoning"), PartEnded(0), Finished("stop")]
    assert len(streamed(events)) == 3
    assert whole(events)["content"] == []


REASONS: list[tuple[Finished, str, str | None]] = [
    (Finished("stop"), "end_turn", None),
    (Finished("stop", "END"), "stop_sequence", "END"),
    (Finished("length"), "max_tokens", None),
    (Finished("content_filter"), "refusal", None),
]


@pytest.mark.parametrize(("finished", "reason", "sequence"), REASONS)
def test_stop_reasons(finished: Finished, reason: str, sequence: str | None) -> None:
    """Why an answer ended is said in the API's words."""
    message, delta = whole([Started("m"), finished]), streamed([Started("m"), finished])[1]["delta"]
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, sequence)
    assert delta == {"stop_reason": reason, "stop_sequence": sequence}


ERRORS: list[tuple[ProxyError, int, str]] = [
    (InvalidRequest("no", param="max_tokens"), 400, "invalid_request_error"),
    (InvalidKey("no"), 401, "authentication_error"),
    (NotFound("no"), 404, "not_found_error"),
    (BodyTooLarge("no"), 413, "request_too_large"),
    (RateLimited("no"), 429, "rate_limit_error"),
    (Busy("no"), 429, "rate_limit_error"),
    (InternalError("no"), 500, "api_error"),
    (BackendUnavailable("no"), 503, "api_error"),
    (UpstreamTimeout("no"), 504, "timeout_error"),
    (Overloaded("no"), 529, "overloaded_error"),
]


@pytest.mark.parametrize(("error", "status", "kind"), ERRORS)
def test_errors(error: ProxyError, status: int, kind: str) -> None:
    """A failure has the API's status, type and envelope, whole and in the middle of a stream."""
    envelope = msgspec.json.decode(DIALECT.error(error))
    assert (DIALECT.status(error), envelope["type"], envelope["error"]["type"]) == (status, "error", kind)
    assert envelope["error"]["message"] == "no"
    assert streamed([Started("m"), Failed(error)])[-1] == envelope


def test_too_long() -> None:
    """An input that is too long is said in the words that clients of this API look for."""
    envelope = msgspec.json.decode(DIALECT.error(ContextLengthExceeded("maximum context length is 8192")))
    assert envelope["error"]["message"] == "prompt is too long: maximum context length is 8192"


def test_threads() -> None:
    """A conversation that is kept under an id is refused as the API does it, so that the SDKs do without."""
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.read(
            b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"thread":{"type":"create"}}'
        )
    detail = msgspec.json.decode(DIALECT.error(caught.value))["error"]
    assert (caught.value.param, caught.value.status, detail["type"]) == (
        "thread",
        400,
        "invalid_request_error",
    )
    assert detail["details"] == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def test_keep_alive() -> None:
    """While nothing comes, there are pings."""
    assert MessageWriter("m").keep_alive() == b'event: ping\ndata: {"type":"ping"}\n\n'
