"""Events, written as the Messages API writes them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    InvalidRequest,
    NotFound,
    PartStarted,
    ProxyError,
    RateLimited,
    Started,
    Usage,
    complete_part,
    fold,
)
from claude_max_proxy.backends.anthropic_api.reading import AnswerReader
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages
from claude_max_proxy.dialects.anthropic_messages.writing import MessageWriter
from claude_max_proxy.errors import (
    BackendUnavailable,
    BodyTooLarge,
    Busy,
    ContextLengthExceeded,
    InternalError,
    InvalidKey,
    Overloaded,
    UpstreamTimeout,
)


DIALECT = AnthropicMessages()
EVENTS: list[Event] = [
    Started("upstream"),
    *complete_part(PartStarted(0, "reasoning"), "Let me ", "see.", signature="sig"),
    *complete_part(PartStarted(1, "reasoning"), signature="EoF=", redacted=True),
    *complete_part(PartStarted(2, "text"), 'He said "hi"'),
    *complete_part(PartStarted(3, "tool_call", "call.1", "look"), '{"a":', "1}"),
    *complete_part(PartStarted(4, "tool_call", "call2", "look")),
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
    """Return the events of a stream, after checking that each one's name is its type."""
    writer = MessageWriter("m", **options)
    found = []
    for frame in b"".join(writer.write(event) for event in events).split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        found.append(msgspec.json.decode(data.removeprefix(b"data: ")))
        assert name.removeprefix(b"event: ").decode() == found[-1]["type"]
    return found


def whole(events: list[Event], **options: Any) -> dict[str, Any]:
    """Return a whole answer."""
    message: dict[str, Any] = msgspec.json.decode(MessageWriter("m", **options).whole(fold(events)))
    return message


def test_a_whole_message() -> None:
    """A whole answer is a message with its blocks, the reason for its end, and its usage."""
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
    """A streamed answer begins and ends like the API's, and its blocks do not overlap."""
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
    """The backend that speaks this API reads from our stream the events that were written."""
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
    """A client that did not ask for thoughts gets none; one that wants no text of them gets signatures."""
    assert whole(EVENTS, thoughts=thoughts)["content"][: len(blocks)] == blocks
    starts = [
        event for event in streamed(EVENTS, thoughts=thoughts) if event["type"] == "content_block_start"
    ]
    assert [start["index"] for start in starts] == list(range(len(starts)))
    assert [start["content_block"]["type"] for start in starts][: len(blocks)] == [b["type"] for b in blocks]


def test_a_thought_without_words_or_proof() -> None:
    """Nothing is written for an empty thought."""
    events: list[Event] = [Started("m"), *complete_part(PartStarted(0, "reasoning")), Finished("stop")]
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
    """The reason for the end of an answer is written in the API's words."""
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
    """A failure has the API's status, type and envelope, as a whole answer and within a stream."""
    envelope = msgspec.json.decode(DIALECT.error(error))
    assert (DIALECT.status(error), envelope["type"], envelope["error"]["type"]) == (status, "error", kind)
    assert envelope["error"]["message"] == "no"
    assert streamed([Started("m"), Failed(error)])[-1] == envelope


def test_too_long() -> None:
    """An input that is too long is reported in the words that clients of this API look for."""
    envelope = msgspec.json.decode(DIALECT.error(ContextLengthExceeded("maximum context length is 8192")))
    assert envelope["error"]["message"] == "prompt is too long: maximum context length is 8192"


def test_threads() -> None:
    """A kept conversation is refused in the API's way, so that the SDKs do without it."""
    with pytest.raises(InvalidRequest) as caught:
        DIALECT.open(
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
    """While there is nothing to send, there are pings."""
    assert MessageWriter("m").keep_alive() == b'event: ping\ndata: {"type":"ping"}\n\n'
