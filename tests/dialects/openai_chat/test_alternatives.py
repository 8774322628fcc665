"""Writing several answers to one request, as the choices of one chat completion."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from claude_max_proxy import Event, Failed, Finished, Reply, Usage, fold
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_chat.writing import ChatWriter
from claude_max_proxy.errors import Overloaded
from claude_max_proxy.events import Alternative
from claude_max_proxy.formats.sse import Decoder
from tests.dialects.openai_chat.test_writing import CALLS, EMPTY, TEXT, THOUGHT


ALL = [TEXT, CALLS, THOUGHT, EMPTY]


def merged() -> list[Event | Alternative]:
    """Return the events of all answers, in turns, and the end of all."""
    each = [
        [Alternative(index, event) for event in events if not isinstance(event, Usage)]
        for index, events in enumerate(ALL)
    ]
    turns = chain.from_iterable(zip_longest(*each))
    return [*(event for event in turns if event is not None), Usage(9, 8), Finished("stop")]


def chunks(writer: ChatWriter, events: list[Event | Alternative]) -> list[dict[str, Any]]:
    """Return the chunks of a stream, whose form and end are checked."""
    decoder = Decoder()
    *data, last = [found.data for event in events for found in decoder.feed(writer.write(event))]
    assert last == "[DONE]"
    decoded = [msgspec.json.decode(one) for one in data]
    for one in decoded:
        ChatCompletionChunk.model_validate(one)
    return decoded


@pytest.mark.parametrize("legacy", [False, True])
def test_a_stream(*, legacy: bool) -> None:
    """The chunks of each choice are those that its answer has alone, but for the index."""
    found = chunks(ChatWriter("m", include_usage=True, legacy=legacy, answers=len(ALL)), merged())
    assert len({one["id"] for one in found}) == 1
    assert (found[-1]["choices"], found[-1]["usage"]["total_tokens"]) == ([], 17)
    for index, events in enumerate(ALL):
        alone = chunks(ChatWriter("m", legacy=legacy), [*events])
        mine = [one["choices"][0] for one in found[:-1] if one["choices"][0]["index"] == index]
        assert mine == [{**one["choices"][0], "index": index} for one in alone]


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_answer(*, legacy: bool) -> None:
    """The choices are those that the answers have alone, but for the index."""
    reply = Reply(usage=Usage(9, 8), alternatives=[fold(events) for events in ALL])
    body = msgspec.json.decode(ChatWriter("m", legacy=legacy, answers=len(ALL)).whole(reply))
    ChatCompletion.model_validate(body)
    assert body["usage"]["total_tokens"] == 17
    for index, events in enumerate(ALL):
        alone = msgspec.json.decode(ChatWriter("m", legacy=legacy).whole(fold(events)))
        assert body["choices"][index] == {**alone["choices"][0], "index": index}


def test_a_failure() -> None:
    """A failure is the last event, whichever answers are complete by then."""
    writer = ChatWriter("m", answers=2)
    data = [writer.write(Alternative(0, event)) for event in TEXT]
    assert b"[DONE]" not in b"".join(data)
    last = writer.write(Failed(Overloaded("too much")))
    assert last.startswith(b'data: {"error":')
    assert last.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(("n", "answers"), [(None, 1), (1, 1), (128, 128)])
def test_how_many(n: int | None, answers: int) -> None:
    """The request wants as many answers as the client."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "n": n}
    assert OpenAIChat().open(msgspec.json.encode(body)).request.answers == answers
