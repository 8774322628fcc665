"""Writing chat completions: exactly these chunks for these events."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    FinishReason,
    PartDelta,
    PartEnded,
    PartStarted,
    ProxyError,
    Reply,
    Started,
    Usage,
    complete_part,
    fold,
)
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_chat.writing import ChatWriter
from claude_max_proxy.errors import InvalidKey, InvalidRequest, Overloaded
from claude_max_proxy.formats.sse import Decoder


ROLE = {"role": "assistant", "content": ""}
STARTED = Started("claude-x")
TEXT: list[Event] = [
    STARTED,
    *complete_part(PartStarted(0, "text"), "Hel", "", "lo\n€"),
    Usage(1, 2, 3, 4, 5),
    Finished("stop"),
]
CALLS: list[Event] = [
    STARTED,
    *complete_part(PartStarted(0, "text"), "Let me see."),
    *complete_part(PartStarted(1, "tool_call", "call1", "read"), '{"pa', 'th":"a"}'),
    *complete_part(PartStarted(2, "tool_call", "call2", "now")),
    Usage(1, 2),
    Finished("tool_calls"),
]
THOUGHT: list[Event] = [
    STARTED,
    *complete_part(PartStarted(0, "reasoning"), "hm"),
    *complete_part(PartStarted(1, "text"), "yes"),
    Usage(1, 2),
    Finished("stop"),
]
EMPTY: list[Event] = [STARTED, Usage(1, 0), Finished("stop")]
ANSWERS = {"text": TEXT, "calls": CALLS, "thought": THOUGHT, "empty": EMPTY}


def wire(events: list[Event], **options: Any) -> list[str]:
    """Return the data of each event in the bytes of a stream."""
    writer = ChatWriter("gpt-4o", **options)
    decoder = Decoder()
    return [event.data for written in events for event in decoder.feed(writer.write(written))]


def chunks(events: list[Event], **options: Any) -> list[dict[str, Any]]:
    """Return the chunks of a stream, once its end and its form have been checked."""
    *data, last = wire(events, **options)
    assert last == "[DONE]"
    decoded = [msgspec.json.decode(chunk) for chunk in data]
    for chunk in decoded:
        ChatCompletionChunk.model_validate(chunk)
    return decoded


def deltas(events: list[Event], **options: Any) -> list[dict[str, Any]]:
    """Return the deltas of a stream's choices."""
    return [chunk["choices"][0]["delta"] for chunk in chunks(events, **options) if chunk["choices"]]


def call(index: int, arguments: str, **fields: Any) -> dict[str, Any]:
    """Return a delta of one tool call."""
    name = fields.pop("name", None)
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    return {"tool_calls": [{"index": index, **fields, "function": function}]}


def test_a_text() -> None:
    """A stream consists of the role, the pieces as they come, and an empty delta at its end."""
    assert deltas(TEXT) == [ROLE, {"content": "Hel"}, {"content": "lo\n€"}, {}]


def test_reasoning() -> None:
    """Reasoning has a separate field, which comes before the text."""
    assert deltas(THOUGHT) == [ROLE, {"reasoning_content": "hm"}, {"content": "yes"}, {}]


def test_tool_calls() -> None:
    """Calls are numbered separately, begin with id and name, and one without arguments has ``{}``."""
    assert deltas(CALLS) == [
        ROLE,
        {"content": "Let me see."},
        call(0, "", id="call1", type="function", name="read"),
        call(0, '{"pa'),
        call(0, 'th":"a"}'),
        call(1, "", id="call2", type="function", name="now"),
        call(1, "{}"),
        {},
    ]


def test_a_legacy_call() -> None:
    """A client that offered functions gets its call in the API's older form."""
    events = [STARTED, *CALLS[4:8], Usage(), Finished("tool_calls")]
    events = [_moved(event) for event in events]
    assert deltas(events, legacy=True) == [
        ROLE,
        {"function_call": {"name": "read", "arguments": ""}},
        {"function_call": {"arguments": '{"pa'}},
        {"function_call": {"arguments": 'th":"a"}'}},
        {},
    ]
    assert chunks(events, legacy=True)[-1]["choices"][0]["finish_reason"] == "function_call"


def _moved(event: Event) -> Event:
    """Return the event with the index of the first part."""
    if isinstance(event, PartStarted | PartDelta | PartEnded):
        return msgspec.structs.replace(event, index=0)

    return event


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("events", ANSWERS.values(), ids=ANSWERS)
def test_every_stream(events: list[Event], include_usage: bool) -> None:
    """All chunks have one id, time and model; the role is first, usage last and only if it is asked for."""
    written = chunks(events, include_usage=include_usage)
    assert len({(chunk["id"], chunk["created"], chunk["object"], chunk["model"]) for chunk in written}) == 1
    assert (written[0]["object"], written[0]["model"]) == ("chat.completion.chunk", "gpt-4o")
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{24}", written[0]["id"])
    assert written[0]["choices"][0]["delta"] == ROLE
    reasons = [choice["finish_reason"] for chunk in written for choice in chunk["choices"]]
    assert [reason for reason in reasons if reason] == reasons[-1:]
    if include_usage:
        *others, last = written
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] >= 0
        assert all(chunk["usage"] is None for chunk in others)
    else:
        assert not [chunk for chunk in written if "usage" in chunk]


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
def test_reasons(reason: FinishReason) -> None:
    """Our reasons are mapped to the API's."""
    assert chunks([STARTED, Finished(reason)])[-1]["choices"][0]["finish_reason"] == reason


def test_usage_counts_the_cache() -> None:
    """The prompt's tokens include those read from the cache and those written to it."""
    counted = chunks(TEXT, include_usage=True)[-1]["usage"]
    assert (counted["prompt_tokens"], counted["completion_tokens"], counted["total_tokens"]) == (8, 2, 10)
    assert counted["prompt_tokens_details"]["cached_tokens"] == 3
    assert counted["prompt_tokens_details"]["cache_write_tokens"] == 4
    assert counted["completion_tokens_details"]["reasoning_tokens"] == 5


def test_usage_that_is_not_known() -> None:
    """A client that asks for usage gets it, even if the backend reported none."""
    assert chunks([STARTED, Finished("stop")], include_usage=True)[-1]["usage"]["total_tokens"] == 0


def test_a_failure_on_the_way() -> None:
    """A stream that fails gives the reason in the API's envelope, and still ends like a stream."""
    *_, error, done = wire([*TEXT[:3], Failed(Overloaded("too much"))])
    assert done == "[DONE]"
    assert msgspec.json.decode(error) == {
        "error": {"message": "too much", "type": "upstream_error", "param": None, "code": "overloaded"}
    }


def test_a_failure_has_no_finish_reason() -> None:
    """Nothing in a failed stream says that the answer is complete."""
    data = wire([*TEXT[:3], Failed(Overloaded("too much"))])
    assert not [chunk for chunk in data if re.search(r'"finish_reason":"', chunk)]


def test_a_sign_of_life() -> None:
    """A keep-alive is a chunk with an empty delta, under the stream's own id."""
    writer = ChatWriter("gpt-4o")
    first, alive = (
        msgspec.json.decode(data.removeprefix(b"data: "))
        for data in (writer.write(STARTED), writer.keep_alive())
    )
    ChatCompletionChunk.model_validate(alive)
    assert alive["choices"] == [{"index": 0, "delta": {}, "finish_reason": None}]
    assert alive["id"] == first["id"]


def whole(reply: Reply, **options: Any) -> dict[str, Any]:
    """Return a whole answer, once its form has been checked."""
    answer = msgspec.json.decode(ChatWriter("gpt-4o", **options).whole(reply))
    ChatCompletion.model_validate(answer)
    return answer


@pytest.mark.parametrize("events", ANSWERS.values(), ids=ANSWERS)
def test_a_whole_answer_is_its_stream(events: list[Event]) -> None:
    """The deltas of a stream add up to the whole answer."""
    answer = whole(fold(events))
    message = answer["choices"][0]["message"]
    content, reasoning = "", ""
    calls: dict[int, Any] = {}
    for delta in deltas(events):
        content += delta.get("content", "")
        reasoning += delta.get("reasoning_content", "")
        for piece in delta.get("tool_calls", []):
            entry = calls.setdefault(piece["index"], {"id": piece.get("id"), "arguments": ""})
            entry["arguments"] += piece["function"]["arguments"]
    assert (message["content"] or "") == content
    assert message.get("reasoning_content", "") == reasoning
    assert list(calls.values()) == [
        {"id": one["id"], "arguments": one["function"]["arguments"]} for one in message.get("tool_calls", [])
    ]
    last = chunks(events, include_usage=True)
    assert answer["usage"] == last[-1]["usage"]
    assert answer["choices"][0]["finish_reason"] == last[-2]["choices"][0]["finish_reason"]


def test_a_call_without_words() -> None:
    """A whole answer with calls only has null content, and an empty one has an empty text."""
    assert (
        whole(fold([STARTED, *map(_moved, CALLS[4:8]), Finished("tool_calls")]))["choices"][0]["message"][
            "content"
        ]
        is None
    )
    assert whole(fold(EMPTY))["choices"][0]["message"]["content"] == ""


def test_a_whole_legacy_call() -> None:
    """A client that offered functions gets its call in the API's older form in a whole answer, too."""
    choice = whole(fold(CALLS), legacy=True)["choices"][0]
    assert choice["message"]["function_call"] == {"name": "read", "arguments": '{"path":"a"}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


def test_a_whole_answer_without_usage() -> None:
    """Unknown usage is not made up."""
    assert "usage" not in whole(fold([STARTED, Finished("stop")]))


@pytest.mark.parametrize(
    ("error", "envelope"),
    [
        (
            InvalidRequest("n is wrong", param="n"),
            {
                "message": "n is wrong",
                "type": "invalid_request_error",
                "param": "n",
                "code": "invalid_request",
            },
        ),
        (
            InvalidKey("no key"),
            {
                "message": "no key",
                "type": "authentication_error",
                "param": None,
                "code": "invalid_api_key",
            },
        ),
    ],
)
def test_envelopes(error: ProxyError, envelope: dict[str, Any]) -> None:
    """A failure is written in OpenAI's form."""
    assert msgspec.json.decode(OpenAIChat().error(error)) == {"error": envelope}


@pytest.mark.parametrize(
    ("options", "usage"),
    [({}, False), ({"stream_options": None}, False), ({"stream_options": {"include_usage": True}}, True)],
)
def test_the_dialect_remembers_what_was_asked(options: dict[str, Any], usage: bool) -> None:
    """The writer learns from the request whether usage is asked for, and in which form tools were offered."""
    body = {"model": "m", "messages": [{"role": "user"}], "functions": [{"name": "f"}], **options}
    writer = OpenAIChat().open(msgspec.json.encode(body)).writer
    written = writer.write(Finished("tool_calls"))
    assert (b'"usage":{' in written) is usage
    assert b'"function_call"' in written


def test_a_request_that_says_nothing_of_it() -> None:
    """A request that sets nothing else gets the API's defaults."""
    writer = OpenAIChat().open(b'{"model": "m", "messages": [{"role": "user"}]}').writer
    assert b"usage" not in writer.write(Finished("stop"))
