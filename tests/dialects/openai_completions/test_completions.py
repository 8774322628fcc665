"""The completions API: reading its bodies, writing its answers."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    InvalidRequest,
    Message,
    PartStarted,
    Reply,
    Request,
    Started,
    Text,
    Usage,
    complete_part,
    fold,
)
from claude_max_proxy.dialect import AlternativesWriter, Exchange
from claude_max_proxy.dialects.openai_completions import OpenAICompletions
from claude_max_proxy.errors import Overloaded
from claude_max_proxy.events import Alternative


DIALECT = OpenAICompletions()
EVENTS: list[Event] = [
    Started("upstream"),
    *complete_part(PartStarted(0, "reasoning"), "hm"),
    *complete_part(PartStarted(1, "text"), "on a ", "time"),
    Usage(3, 2),
    Finished("length"),
]


def opened(**fields: Any) -> Exchange:
    """Return the exchange that a body with these fields opens."""
    return DIALECT.open(msgspec.json.encode({"model": "m", "prompt": "Once", **fields}))


def read(**fields: Any) -> Request:
    """Return the request that is read from a body with these fields."""
    return opened(**fields).request


@pytest.mark.parametrize("prompt", ["Once", ["Once"]])
def test_a_prompt(prompt: Any) -> None:
    """The prompt becomes a user's message; if the client sets no limit, there is none."""
    request = read(prompt=prompt)
    assert (request.messages, request.max_tokens) == ([Message("user", [Text("Once")])], None)


def test_parameters() -> None:
    """Parameters that chat completions have too are carried over."""
    request = read(max_tokens=5, stop="END", temperature=0.5, top_p=0.9, stream=True, seed=1, n=1, best_of=1)
    assert (request.max_tokens, request.stop, request.temperature) == (5, ["END"], 0.5)
    assert (request.top_p, request.stream, request.extra) == (0.9, True, {"seed": 1})


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"prompt": [1, 2]}, "prompt"),
    ({"prompt": [[1, 2]]}, "prompt"),
    ({"prompt": ["a", "b"]}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"suffix": "end"}, "suffix"),
    ({"logprobs": 0}, "logprobs"),
    ({"n": 129}, "n"),
    ({"best_of": 3}, "best_of"),
    ({"best_of": 3, "n": 2}, "best_of"),
    ({"max_tokens": "many"}, "max_tokens"),
]


@pytest.mark.parametrize(("fields", "path"), REFUSED)
def test_refusals(fields: dict[str, Any], path: str) -> None:
    """What is not supported is refused by its name."""
    with pytest.raises(InvalidRequest) as caught:
        read(**fields)
    assert caught.value.param == path


@pytest.mark.parametrize(("echo", "text"), [(False, "on a time"), (True, "Onceon a time")])
def test_answers(echo: bool, text: str) -> None:
    """An answer is its text, after the prompt if the client asks for that, streamed or whole."""
    fields = {"echo": echo, "stream_options": {"include_usage": True}}
    whole = msgspec.json.decode(opened(**fields).writer.whole(fold(EVENTS)))
    assert (whole["object"], whole["model"]) == ("text_completion", "m")
    assert whole["choices"] == [{"text": text, "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert whole["usage"]["total_tokens"] == 5

    writer = opened(**fields).writer
    frames = b"".join(writer.write(event) for event in EVENTS).split(b"\n\n")
    assert frames[-2:] == [b"data: [DONE]", b""]
    chunks = [msgspec.json.decode(frame.removeprefix(b"data: ")) for frame in frames[:-2]]
    assert "".join(choice["text"] for chunk in chunks for choice in chunk["choices"]) == text
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert reasons == [None] * (len(reasons) - 1) + ["length"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 5)


def test_several_answers() -> None:
    """With ``n``, each answer is a choice, after the prompt if the client asks for that."""
    exchange = opened(n=2, best_of=2, echo=True, stream_options={"include_usage": True})
    assert exchange.request.answers == 2
    reply = Reply(usage=Usage(4, 2), alternatives=[fold(EVENTS), fold(EVENTS)])
    whole = msgspec.json.decode(exchange.writer.whole(reply))
    assert [(choice["index"], choice["text"]) for choice in whole["choices"]] == [
        (0, "Onceon a time"),
        (1, "Onceon a time"),
    ]
    assert whole["usage"]["total_tokens"] == 6

    writer = cast("AlternativesWriter", exchange.writer)
    events: list[Event | Alternative] = [
        Alternative(index, event) for event in EVENTS if not isinstance(event, Usage) for index in (1, 0)
    ]
    frames = b"".join(writer.write(event) for event in [*events, Usage(4, 2), Finished("stop")])
    *chunks, usage = [
        msgspec.json.decode(frame.removeprefix(b"data: ")) for frame in frames.split(b"\n\n")[:-2]
    ]
    assert (usage["choices"], usage["usage"]["total_tokens"], frames.count(b"[DONE]")) == ([], 6, 1)
    choices = [chunk["choices"][0] for chunk in chunks]
    for index in (0, 1):
        mine = [choice for choice in choices if choice["index"] == index]
        assert "".join(choice["text"] for choice in mine) == "Onceon a time"
        assert [choice["finish_reason"] for choice in mine] == [None] * (len(mine) - 1) + ["length"]


def test_a_failure_in_the_middle() -> None:
    """A stream that fails ends with the error and [DONE], and none of its choices gets a reason."""
    writer = opened(stream=True).writer
    written = b"".join(writer.write(event) for event in [*EVENTS[:-2], Failed(Overloaded("too much"))])
    *chunks, error, done, rest = written.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    assert msgspec.json.decode(error.removeprefix(b"data: "))["error"]["message"] == "too much"
    choices = [msgspec.json.decode(chunk.removeprefix(b"data: "))["choices"][0] for chunk in chunks]
    assert "".join(choice["text"] for choice in choices) == "on a time"
    assert {choice["finish_reason"] for choice in choices} == {None}
