"""How an answer becomes server-sent events or a whole message."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from claude_max_proxy.testing import (
    Fault,
    RedactedThinking,
    Reply,
    Text,
    Thinking,
    ToolUse,
    fault,
    message,
    plan_limit,
    stream,
    words,
)
from claude_max_proxy.testing.answers import Block
from claude_max_proxy.testing.events import is_delta, opening, paced_batches


def decoded(frames: list[bytes]) -> list[dict[str, Any]]:
    """Return the data of each event, once its form has been checked."""
    events = []
    for frame in frames:
        name, data = re.fullmatch(rb"event: (\w+)\ndata: (.*)\n\n", frame).groups()  # type: ignore[union-attr]
        event = msgspec.json.decode(data)
        assert event["type"] == name.decode()
        events.append(event)
    return events


def deltas(frames: list[bytes], kind: str) -> list[str]:
    """Return the pieces of this kind of delta."""
    found = [event["delta"] for event in decoded(frames) if event["type"] == "content_block_delta"]
    key = {"input_json_delta": "partial_json", "text_delta": "text"}.get(kind, kind[:-6])
    return [delta[key] for delta in found if delta["type"] == kind]


def test_a_text_streams_as_the_events_of_the_api_in_their_order() -> None:
    """A short text has exactly the events that the real API sends."""
    names = [event["type"] for event in decoded(stream(Reply((Text("a b"),)), "m"))]
    assert names == [
        "message_start", "content_block_start", "ping", "content_block_delta",
        "content_block_delta", "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "one", " a  b\n\nc ", "ünï 🙂 cödé", "  ", "\n/clear"])
@pytest.mark.parametrize("chunks", [None, 1, 3])
def test_the_deltas_of_a_text_are_the_text(text: str, chunks: int | None) -> None:
    """However a text is cut into pieces, no character is lost or added."""
    frames = stream(Reply((Text(text, chunks),)), "m")
    assert "".join(deltas(frames, "text_delta")) == text


def test_chunks_is_the_number_of_deltas() -> None:
    """A text is cut into as many pieces as asked for, none of them empty."""
    pieces = deltas(stream(Reply((Text("abcdefg", chunks=3),)), "m"), "text_delta")
    assert len(pieces) == 3
    assert all(pieces)


def test_words_stream_as_one_delta_each() -> None:
    """The text that is made for N deltas has N deltas."""
    assert deltas(stream(Reply((Text(words(3)),)), "m"), "text_delta") == ["w0", " w1", " w2"]


def test_the_start_carries_the_usage_and_a_new_id() -> None:
    """The message_start states the request's usage and has one token written so far."""
    reply = Reply((Text("x"),), input_tokens=7, cache_read=5, cache_write=3)
    first, second = (decoded(stream(reply, "m"))[0]["message"] for _ in range(2))
    usage = first["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (7, 1)
    assert usage["cache_read_input_tokens"] == 5
    assert usage["cache_creation_input_tokens"] == 3
    assert first["model"] == "m"
    assert re.fullmatch(r"msg_[0-9a-f]{24}", first["id"])
    assert first["id"] != second["id"]


def test_the_end_carries_the_stop_reason_and_the_tokens() -> None:
    """The message_delta has the reply's own data; tokens that it does not set are counted by deltas."""
    reply = Reply((Text("a b"),), stop_reason="stop_sequence", stop_sequence="ZZ")
    end = decoded(stream(reply, "m"))[-2]
    assert end["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "ZZ"}
    assert end["usage"]["output_tokens"] == 2
    counted = Reply((Text("a b"),), output_tokens=99)
    assert decoded(stream(counted, "m"))[-2]["usage"]["output_tokens"] == 99


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [((), "end_turn"), ((Text("x"),), "end_turn"), ((Text("x"), ToolUse("t")), "tool_use")],
)
def test_the_stop_reason_follows_from_the_blocks(blocks: tuple[Block, ...], reason: str) -> None:
    """A reply that calls a tool stops for it; any other reply ends its turn."""
    assert Reply(blocks).stopped_by == reason


def test_the_input_of_a_tool_streams_in_pieces() -> None:
    """Tool input begins with an empty piece, and the pieces make up its JSON."""
    arguments = {"path": "/tmp/x", "lines": [1, 2, 3], "text": "ü"}
    frames = stream(Reply((ToolUse("read", arguments),)), "m")
    pieces = deltas(frames, "input_json_delta")
    assert pieces[0] == ""
    assert len(pieces) > 3
    assert msgspec.json.decode("".join(pieces)) == arguments
    block = decoded(frames)[1]["content_block"]
    assert (block["name"], block["input"]) == ("read", {})


def test_calls_have_unique_ids_unless_given() -> None:
    """Two calls in one reply never share an id, and an id that is given is kept."""
    frames = stream(Reply((ToolUse("a"), ToolUse("a"), ToolUse("a", id="toolu_mine"))), "m")
    starts = [one for one in decoded(frames) if one["type"] == "content_block_start"]
    first, second, third = (one["content_block"]["id"] for one in starts)
    assert re.fullmatch(r"toolu_[0-9a-f]{24}", first)
    assert first != second
    assert third == "toolu_mine"
    assert [one["index"] for one in starts] == [0, 1, 2]


def test_thinking_ends_with_a_signature() -> None:
    """A thinking block streams its thought and then one signature."""
    frames = stream(Reply((Thinking("so be it"), Text("ok"))), "m")
    assert "".join(deltas(frames, "thinking_delta")) == "so be it"
    found = [event["delta"] for event in decoded(frames) if event["type"] == "content_block_delta"]
    kinds = [delta["type"] for delta in found]
    assert kinds[-2:] == ["signature_delta", "text_delta"]


def test_an_opening_stops_after_its_last_delta() -> None:
    """What is sent before a break ends with the requested delta."""
    assert sum(map(is_delta, opening(3, "m"))) == 3
    assert is_delta(opening(3, "m")[-1])
    assert [event["type"] for event in decoded(opening(0, "m"))][-1] == "ping"


def test_a_paced_reply_has_one_delta_in_each_batch() -> None:
    """Nothing is lost between paced batches, and each, except those of the frame, contains one delta."""
    frames = stream(Reply((Text("a b c"),)), "m")
    paced = list(paced_batches(frames))
    assert b"".join(paced) == b"".join(frames)
    assert [part.count(b"event: content_block_delta") for part in paced] == [1, 1, 1]


def test_a_whole_message_has_all_blocks() -> None:
    """The JSON for a request without stream contains the same as the stream."""
    reply = Reply((Thinking("hm"), Text("a b"), ToolUse("t", {"x": 1}, "toolu_1")))
    whole = message(reply, "m")
    assert [block["type"] for block in whole["content"]] == ["thinking", "text", "tool_use"]
    assert whole["content"][1]["text"] == "a b"
    call = {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {"x": 1}}
    assert whole["content"][2] == call
    assert whole["stop_reason"] == "tool_use"
    streamed = decoded(stream(reply, "m"))[-2]["usage"]["output_tokens"]
    assert whole["usage"]["output_tokens"] == streamed
    counted = message(Reply((Text("a b"),), output_tokens=99), "m")
    assert counted["usage"]["output_tokens"] == 99


def test_a_thought_that_is_not_shown_is_one_block() -> None:
    """Redacted thinking has no deltas: its start has all of its data, as the whole message has."""
    reply = Reply((RedactedThinking("c2VjcmV0"), Text("ok")))
    block = {"type": "redacted_thinking", "data": "c2VjcmV0"}
    streamed = decoded(stream(reply, "m"))
    assert streamed[1]["content_block"] == block
    assert [event["type"] for event in streamed[1:4]] == ["content_block_start", "ping", "content_block_stop"]
    assert message(reply, "m")["content"][0] == block


def test_a_fault_has_the_type_that_fits_its_status() -> None:
    """Known statuses get the API's names, unknown ones that of their family."""
    assert fault(529) == Fault(529, "overloaded_error", "overloaded error")
    assert fault(404, "no").type == "not_found_error"
    assert fault(418).type == "invalid_request_error"
    assert fault(503).type == "api_error"


def test_a_plan_limit_says_when_it_ends() -> None:
    """The 429 of a used-up plan has the headers that a subscription's client reads."""
    limit = plan_limit(resets_in=60, window="seven_day")
    assert (limit.status, limit.type) == (429, "rate_limit_error")
    assert limit.headers["anthropic-ratelimit-unified-status"] == "rejected"
    assert limit.headers["anthropic-ratelimit-unified-representative-claim"] == "seven_day"
    assert limit.headers["retry-after"] == "60"
