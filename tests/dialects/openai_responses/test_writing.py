"""Writing responses: exactly these typed events for these events, and the same response as a whole."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from claude_max_proxy import (
    Event,
    Failed,
    PartDelta,
    PartEnded,
    PartStarted,
    ProxyError,
    Reasoning,
    Started,
    complete_part,
    fold,
)
from claude_max_proxy.dialect import Exchange
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from claude_max_proxy.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    Overloaded,
    RateLimited,
    UpstreamRefused,
)
from claude_max_proxy.formats.sse import Decoder
from tests.dialects.answers import ANSWERS, answer, called, said, thought


TOOLS = [
    {"type": "function", "name": "read", "parameters": {"type": "object"}},
    {"type": "custom", "name": "patch"},
    {
        "type": "namespace",
        "name": "box",
        "description": "d",
        "tools": [{"type": "function", "name": "read", "parameters": {"type": "object"}}],
    },
]
SHOWN = {"tools": TOOLS, "reasoning": {"summary": "auto"}}
HIDDEN = {"tools": TOOLS}
_ID = re.compile(r'"(resp|msg|rs|fc|ctc)_[0-9a-f]{32}"')


def opened(**fields: Any) -> Exchange:
    """Return the exchange that a body with these fields opens."""
    return OpenAIResponses().open(msgspec.json.encode({"model": "gpt-4o", "input": "hi", **fields}))


def streamed(events: list[Event], **fields: Any) -> list[dict[str, Any]]:
    """Return the events of a stream, once their names and numbers have been checked."""
    writer = opened(**fields).writer
    frames = Decoder().feed(b"".join(writer.write(event) for event in events))
    decoded = [msgspec.json.decode(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [event["type"] for event in decoded]
    assert [event["sequence_number"] for event in decoded] == list(range(len(decoded)))
    return decoded


def whole(events: list[Event], **fields: Any) -> dict[str, Any]:
    """Return the whole response for these events."""
    body: dict[str, Any] = msgspec.json.decode(opened(**fields).writer.whole(fold(events)))
    return body


def anonymous(value: Any) -> Any:
    """Remove from ids and times what is different in each answer."""
    text = _ID.sub(r'"\1"', msgspec.json.encode(value).decode())
    return msgspec.json.decode(re.sub(r'"(created|completed)_at":\d+', r'"\1_at":0', text))


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """Return the types of the events, abbreviated."""
    return [event["type"].removeprefix("response.") for event in events]


def joined(events: list[dict[str, Any]], kind: str) -> str:
    """Return the text of all deltas of this kind."""
    return "".join(event["delta"] for event in events if event["type"] == f"response.{kind}.delta")


@pytest.mark.parametrize("fields", [SHOWN, HIDDEN], ids=["thoughts shown", "thoughts hidden"])
@pytest.mark.parametrize("events", ANSWERS.values(), ids=ANSWERS)
def test_whole_and_streamed(events: list[Event], fields: dict[str, Any]) -> None:
    """A stream ends with the whole response, whose items are those that the stream has completed."""
    stream = streamed(events, **fields)
    last = stream[-1]["response"]
    assert anonymous(last) == anonymous(whole(events, **fields))
    done = [event["item"] for event in stream if event["type"] == "response.output_item.done"]
    assert done == last["output"]
    added = [event["item"] for event in stream if event["type"] == "response.output_item.added"]
    assert [item["id"] for item in added] == [item["id"] for item in done]
    assert len({stream[0]["response"]["id"], last["id"]}) == 1


def test_the_order_of_ids() -> None:
    """The ids of the items of one kind sort as the items do, for clients that sort calls by them."""
    events = answer(*(called(index, f"call{index}", "read", "{}") for index in range(20)))
    for response in (whole(events), streamed(events)[-1]["response"]):
        ids = [item["id"] for item in response["output"]]
        assert len(ids) == 20
        assert ids == sorted(ids)


@pytest.mark.parametrize("events", ANSWERS.values(), ids=ANSWERS)
def test_deltas_add_up(events: list[Event]) -> None:
    """What is streamed in pieces, even single letters, adds up to the final items."""
    letters = [
        piece
        for event in events
        for piece in (
            [PartDelta(event.index, letter) for letter in event.text]
            if isinstance(event, PartDelta)
            else [event]
        )
    ]
    for stream in (streamed(events, **SHOWN), streamed(letters, **SHOWN)):
        output = stream[-1]["response"]["output"]
        texts = [part["text"] for item in output for part in item.get("content", [])]
        thoughts = [part["text"] for item in output for part in item.get("summary", [])]
        calls = [item["arguments"] for item in output if item["type"] == "function_call"]
        free = [item["input"] for item in output if item["type"] == "custom_tool_call"]
        assert joined(stream, "output_text") == "".join(texts)
        assert joined(stream, "reasoning_summary_text") == "".join(thoughts)
        assert joined(stream, "function_call_arguments") == "".join(calls)
        assert joined(stream, "custom_tool_call_input") == "".join(free)


def test_the_order_of_events() -> None:
    """Each part is an item that is added, written and completed before the next."""
    events = answer(thought(0, "a|b"), said(1, "c|d"), called(2, "call1", "read", "{|}"))
    assert kinds(streamed(events, **SHOWN)) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_places() -> None:
    """Every event of an item has its id and its place in the output."""
    stream = streamed(ANSWERS["calls of all kinds"], **SHOWN)
    output = stream[-1]["response"]["output"]
    for event in stream[2:-1]:
        item = output[event["output_index"]]
        assert event["item_id"] == item["id"]
        if "item" in event:
            assert event["item"]["id"] == item["id"]


def test_calls_as_the_client_knows_them() -> None:
    """A tool that takes free text is called with text, and one of a namespace by its own name."""
    *_, read, patch, box = whole(ANSWERS["calls of all kinds"], **SHOWN)["output"]
    assert (read["type"], read["name"], read["arguments"]) == ("function_call", "read", '{"path":"a"}')
    assert (patch["type"], patch["name"], patch["input"]) == ("custom_tool_call", "patch", "")
    assert (box["type"], box["name"], box["namespace"]) == ("function_call", "read", "box")
    assert [call["call_id"] for call in (read, patch, box)] == ["call_1", "call_2", "call_3"]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("callAb1", "call_Ab1"),
        ("call_Ab1", "call_Ab1"),
        ("toolu_01", "toolu_01"),
        ("call", "call"),
        ("x", "x"),
    ],
)
def test_ids_of_calls(given: str, written: str) -> None:
    """A call's id gets the form of this API's ids if possible, with the same letters and digits."""
    (item,) = whole(answer(called(0, given, "read", "{}")))["output"]
    assert item["call_id"] == written


def test_a_thought_comes_back() -> None:
    """A thought's signature is sent in its item, and read from it again, whether the text is shown or not."""
    for fields in (SHOWN, HIDDEN):
        events: list[Event] = [
            Started("m"),
            *complete_part(PartStarted(0, "reasoning"), "hm, ü", signature="c2ln"),
            *complete_part(PartStarted(1, "reasoning"), signature="cmVk", redacted=True),
            *answer(said(2, "yes"))[1:],
        ]
        output = whole(events, **fields)["output"]
        assert [part["text"] for part in output[0]["summary"]] == (["hm, ü"] if fields is SHOWN else [])
        again = opened(input=[*output, {"role": "user", "content": "go on"}]).request
        assert again.messages[0].parts[:2] == [
            Reasoning("hm, ü", "c2ln"),
            Reasoning("", "cmVk", redacted=True),
        ]


@pytest.mark.parametrize("broken", ["cmp1.", "cmp1.!!!", "cmp1.AAAA", "cmp1.kwECAw==", "gAAAAABo", ""])
def test_proofs_of_others(broken: str) -> None:
    """A signature that is not ours, or was cut, is left out, and the thought stays."""
    item = {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "hm"}],
        "encrypted_content": broken,
    }
    messages = opened(input=[item, {"role": "assistant", "content": "yes"}]).request.messages
    assert messages[0].parts[0] == Reasoning("hm")


def test_why_an_answer_ended() -> None:
    """An answer that was cut short is incomplete, with OpenAI's words for the reason."""
    for name, reason in (("too long", "max_output_tokens"), ("refused", "content_filter")):
        last = streamed(ANSWERS[name])[-1]
        assert last["type"] == "response.incomplete"
        assert last["response"]["status"] == "incomplete"
        assert last["response"]["incomplete_details"] == {"reason": reason}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Overloaded("busy"), "server_error"),
        (RateLimited("slow down"), "rate_limit_exceeded"),
        (UpstreamRefused("no"), "invalid_prompt"),
        (ContextLengthExceeded("too long"), "context_length_exceeded"),
    ],
)
def test_a_failure(error: ProxyError, code: str) -> None:
    """A stream that fails ends in one event with the parts so far, also if there were none yet."""
    for events in ([], [Started("m")], ANSWERS["thought"][:-3], ANSWERS["text"][:3]):
        stream = streamed([*events, Failed(error)])
        assert kinds(stream)[:2] == ["created", "in_progress"]
        assert kinds(stream)[-1] == "failed"
        response = stream[-1]["response"]
        assert response["status"] == "failed"
        assert response["error"] == {"code": code, "message": error.message}


def test_waiting() -> None:
    """A waiting client gets numbered events, also before the first of the answer."""
    writer = opened().writer
    parts = [writer.keep_alive(), writer.write(Started("m")), writer.keep_alive()]
    parts += [writer.write(event) for event in ANSWERS["text"][1:]]
    events = [msgspec.json.decode(frame.data) for frame in Decoder().feed(b"".join(parts))]
    assert kinds(events)[:4] == ["created", "in_progress", "in_progress", "output_item.added"]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def test_what_was_asked_is_echoed() -> None:
    """A response repeats its request's parameters, with the API's defaults for those that were not set."""
    plain = whole(ANSWERS["text"])
    assert plain["model"] == "gpt-4o"
    assert plain["store"] is True
    assert (plain["temperature"], plain["top_p"], plain["truncation"]) == (1.0, 1.0, "disabled")
    fields: dict[str, Any] = {
        "instructions": "Be brief.",
        "max_output_tokens": 5,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "previous_response_id": "resp_1",
        "prompt_cache_key": "k",
        "reasoning": {"effort": "low", "summary": "detailed"},
        "safety_identifier": "s",
        "store": False,
        "temperature": 0.5,
        "text": {
            "format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True},
            "verbosity": "low",
        },
        "tool_choice": {"type": "custom", "name": "patch"},
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
    }
    echoed = whole(ANSWERS["text"], tools=TOOLS[1:2], **fields)
    assert {name: echoed[name] for name in fields} == fields
    assert echoed["tools"] == TOOLS[1:2]


def test_usage() -> None:
    """Tokens are counted in OpenAI's way, cached ones included in the input; without usage there are none."""
    assert whole(ANSWERS["text"])["usage"] == {
        "input_tokens": 8,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 4},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 10,
    }
    assert "usage" not in whole(ANSWERS["no usage"])


def test_arguments_that_are_no_json() -> None:
    """What the model wrote in the wrong form reaches the client unchanged, streamed and whole alike."""
    for arguments in (
        '{"input":"a\\n|b',
        "*** Begin| Patch",
        '{"input":|5}',
        '{"other":|"a"}',
        '{"input":"a\\q|"}',
    ):
        events = answer(called(0, "call1", "patch", arguments))
        stream = streamed(events, tools=TOOLS)
        (item,) = stream[-1]["response"]["output"]
        assert anonymous(item) == anonymous(whole(events, tools=TOOLS)["output"][0])
        assert joined(stream, "custom_tool_call_input") == item["input"]
        assert item["input"]


def test_nobody_elses() -> None:
    """The answers to two equal requests have different ids."""
    dialect, body = OpenAIResponses(), b'{"model": "gpt-4o", "input": "hi"}'
    writers = [dialect.open(body).writer for _ in range(2)]
    ids = {msgspec.json.decode(writer.whole(fold(ANSWERS["text"])))["id"] for writer in writers}
    assert len(ids) == 2


def test_where_a_backend_says_messages() -> None:
    """An error that a backend finds in the messages is reported for the input, as this API calls it."""
    error = InvalidRequest("messages[2]: there is no user message", param="messages[2]")
    told = msgspec.json.decode(OpenAIResponses().error(error))["error"]
    assert (told["message"], told["param"]) == ("input: there is no user message", "input")
    failed = streamed([Failed(error)])[-1]["response"]["error"]
    assert failed["message"] == told["message"]


def test_an_end_alone() -> None:
    """If a plugin takes a part out of an answer and leaves its end, that adds nothing to the stream."""
    events = answer(said(0, "Hi"))
    with_end = [events[0], PartEnded(0), *events[1:]]
    assert [one["type"] for one in streamed(with_end)] == [one["type"] for one in streamed(events)]
