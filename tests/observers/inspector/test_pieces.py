"""What the inspector makes of requests and answers: everything that was said, within bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_max_proxy import (
    Audio,
    Failed,
    File,
    Finished,
    Image,
    Message,
    PartDelta,
    PartEnded,
    PartStarted,
    Reasoning,
    Request,
    Started,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
    complete_part,
)
from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.facts.inspection import Said
from claude_max_proxy.observers.inspector.hearing import MOST_OF_AN_ANSWER, Hearing
from claude_max_proxy.observers.inspector.pieces import MOST_OF_A_PIECE, MOST_OF_A_REQUEST, pieces


def said(*messages: Message, **fields: Any) -> Said:
    """Return the pieces of a request."""
    return pieces(Request("m", messages=list(messages), **fields))


def user(*texts: str) -> Message:
    """Return a message with a part for each of these texts."""
    return Message("user", [Text(text) for text in texts])


def test_everything_is_there() -> None:
    """Instructions, messages with their roles, tools and parameters are pieces; data is only described."""
    found = said(
        Message("user", [Text("hello"), Image("image/png", "QUJD"), File("application/pdf", name="a.pdf")]),
        Message("assistant", [Reasoning("hm"), Text("hi"), ToolCall("c1", "look", '{"a": 1}')]),
        Message("user", [ToolResult("c1", (Text("one"), Image(url="http://x/y")), is_error=True)]),
        system="Be brief.",
        tools=[Tool("look", "Looks.", {"type": "object"})],
        temperature=0.5,
        extra={"seed": 7},
    )
    assert [(one.kind, one.title) for one in found.pieces] == [
        ("parameters", "Parameters"),
        ("instructions", "Instructions"),
        ("tool", "look"),
        ("message", "user"),
        ("message", "user · image"),
        ("message", "user · file"),
        ("message", "assistant · thinking"),
        ("message", "assistant"),
        ("message", "assistant · call of look, c1"),
        ("message", "user · result of c1, an error"),
    ]
    texts = [one.text for one in found.pieces]
    assert json.loads(texts[0]) == {
        "model": "m",
        "temperature": 0.5,
        "tools": 1,
        "seed": 7,
        "stream": False,
        "tool_choice": {"mode": "auto", "name": "", "parallel": True},
    }
    assert json.loads(texts[2]) == {"description": "Looks.", "parameters": {"type": "object"}}
    assert texts[4:6] == ["image/png, 3 bytes", "application/pdf, a.pdf"]
    assert texts[9] == "one\n[http://x/y]"
    assert all(one.missing == 0 for one in found.pieces)


def test_speech() -> None:
    """Of speech, the format and the size are shown; it has neither a name nor an address."""
    found = said(Message("user", [Audio("QUJDREVG", "wav")])).pieces[-1]
    assert (found.title, found.text) == ("user · audio", "wav, 6 bytes")


def test_a_long_text_is_cut() -> None:
    """What is too long is cut, and how much is missing is known."""
    found = said(user("x" * (MOST_OF_A_PIECE + 7)))
    assert len(found.pieces[-1].text) == MOST_OF_A_PIECE
    assert found.pieces[-1].missing == 7


@pytest.mark.parametrize(("number", "length"), [(50, 20_000), (5_000, 10), (3, MOST_OF_A_PIECE * 3)])
def test_many_messages(number: int, length: int) -> None:
    """The newest messages are kept in their order, and the number of the others is known."""
    found = said(*(user(f"{index} " + "x" * length) for index in range(number)), system="y" * MOST_OF_A_PIECE)
    messages = [one for one in found.pieces if one.kind == "message"]
    assert len(messages) + found.left_out == number
    assert [int(one.text.partition(" ")[0]) for one in messages] == list(range(found.left_out, number))
    assert sum(len(one.text) for one in found.pieces) <= MOST_OF_A_REQUEST
    assert len(found.pieces) <= 400


def test_a_message_of_many_parts() -> None:
    """A message that has no room as a whole counts as left out."""
    found = said(user("old"), user(*map(str, range(1000))))
    assert found.left_out == 2
    assert found.pieces[-1].text == "999"


def test_large_json() -> None:
    """Of a large schema only the beginning is written, and one that is nested too deeply is no failure."""
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(100_000):
        inner["a"] = inner = {}
    wide = {"enum": ["x" * 100] * 100_000}
    found = said(tools=[Tool("deep", parameters=deep), Tool("wide", parameters=wide)] * 200)
    tools = [one for one in found.pieces if one.kind == "tool"]
    assert tools[0].missing is None
    assert tools[1].missing is None
    assert tools[1].text.startswith('{\n  "parameters": {\n    "enum": [\n')
    assert sum(len(one.text) for one in tools) < 200_000
    while deep:  # or the interpreter would take it apart by recursion
        deep = deep.pop("a")


def test_an_answer() -> None:
    """Thinking, text and calls are pieces, with what was used and why it ended; what is open is there too."""
    hearing = Hearing()
    for event in (
        Started("claude-x"),
        *complete_part(PartStarted(0, "reasoning"), "h", "m"),
        *complete_part(PartStarted(1, "text"), "hel", "lo"),
        *complete_part(PartStarted(2, "tool_call", "c1", "look"), "{}"),
    ):
        hearing.add(event)
    assert [(one.title, one.text) for one in hearing.pieces()] == [
        ("assistant · thinking", "hm"),
        ("assistant", "hello"),
        ("assistant · call of look, c1", "{}"),
    ]
    hearing.add(PartStarted(3, "text"))
    assert hearing.add(PartDelta(3, "open")) == 4
    assert hearing.pieces()[-1].text == "open"
    hearing.add(Usage(1, 2))
    hearing.add(Finished("stop"))
    assert (hearing.answered_by, hearing.usage, hearing.finish) == ("claude-x", Usage(1, 2), "stop")
    hearing.add(Failed(UpstreamFailed("gone")))
    assert hearing.error == "gone"


def test_an_answer_in_disorder() -> None:
    """A part that a backend ends twice is there once, and the next one has nothing of it."""
    hearing = Hearing()
    first = complete_part(PartStarted(0, "text"), "one")
    for event in (*first, PartDelta(0, "lost"), PartEnded(0), *complete_part(PartStarted(1, "text"), "two")):
        hearing.add(event)
    assert [one.text for one in hearing.pieces()] == ["one", "two"]


def test_an_answer_without_an_end() -> None:
    """However long an answer is, what is held of it is bounded, and the rest is counted."""
    hearing, held = Hearing(), 0
    for index in range(500):
        for event in complete_part(PartStarted(index, "text"), *["x" * 1000] * 300):
            held += hearing.add(event)
    found = hearing.pieces()
    assert held == MOST_OF_AN_ANSWER == sum(len(one.text) for one in found)
    assert found[0].missing == 300_000 - MOST_OF_A_PIECE
    assert found[-1].title == "300 more parts"
    assert len(found) == 201


def test_a_long_result_of_a_tool() -> None:
    """Of a result in many parts, only so much is put together as can be shown."""
    parts = tuple(Text(f"{number} " + "x" * 10_000) for number in range(1000))
    found = said(Message("user", [ToolResult("c", parts)])).pieces
    (piece,) = [piece for piece in found if piece.kind == "message"]
    assert piece.text.startswith("0 x")
    assert len(piece.text) == MOST_OF_A_PIECE
    assert piece.missing


def test_json_that_is_nested_too_deeply() -> None:
    """What cannot be written is shown up to there, and the rest of the request is there as well."""
    value: Any = 1
    for _ in range(100_000):
        value = [value]
    found = said(user("hello"), extra={"odd": value}).pieces
    assert [piece.text for piece in found if piece.kind == "message"] == ["hello"]
    assert any(piece.missing is None and "[" in piece.text for piece in found)


def test_a_thought_that_is_not_shown() -> None:
    """A redacted thought is named as such."""
    hearing = Hearing()
    for event in complete_part(PartStarted(0, "reasoning"), "", signature="s", redacted=True):
        hearing.add(event)
    assert hearing.pieces()[0].title.endswith("which the provider does not show")
