"""Ids of tool calls: made, recognised, and each only once for a provider, whatever a history holds."""

from __future__ import annotations

import pytest

from claude_max_proxy import InvalidRequest, Message, Part, Text, ToolCall, ToolResult
from claude_max_proxy.formats import tool_ids


def call(id_: str) -> ToolCall:
    """Return a call."""
    return ToolCall(id_, "look", "{}")


def result(id_: str, text: str = "found") -> ToolResult:
    """Return the result of a call."""
    return ToolResult(id_, (Text(text),))


def turns(*turns: list[Part]) -> list[Message]:
    """Return an assistant's turn, then a user's, and so on."""
    return [Message(("assistant", "user")[n % 2], parts) for n, parts in enumerate(turns)]


def ids(messages: list[Message]) -> list[list[str]]:
    """Return the ids in each message."""
    return [
        [part.id for part in message.parts if isinstance(part, ToolCall | ToolResult)] for message in messages
    ]


def test_ids_of_their_own_stay() -> None:
    """A history without repetition is not changed, and neither are the messages that were given."""
    given = turns([Text("I look."), call("a"), call("b")], [result("b"), result("a"), Text("go on")])
    assert tool_ids.distinct(given, str) == given


def test_messages_without_calls_are_not_copied() -> None:
    """However long a history is, only messages that call or answer a call are built again."""
    given = [Message("user", [Text("hi")]), Message("assistant", [call("a-1")])]
    first, second = tool_ids.distinct(given, tool_ids.plain)
    assert first is given[0]
    assert second == Message("assistant", [call("a1")])


def test_counted_anew_in_every_answer() -> None:
    """One id in many turns becomes many ids, and each result belongs to the latest call before it."""
    given = turns([call("call_0")], [result("call_0", "1")], [call("call_0")], [result("call_0", "2")])
    given += turns([call("call_0"), call("call_1")], [result("call_1"), result("call_0")])
    before = ids(given)
    made = ids(tool_ids.distinct(given, tool_ids.plain))
    assert made == [
        ["call0"],
        ["call0"],
        ["call0x2"],
        ["call0x2"],
        ["call0x3", "call1"],
        ["call1", "call0x3"],
    ]
    assert ids(given) == before
    assert ids(tool_ids.distinct(given, tool_ids.plain)) == made


def test_a_made_up_id_is_nobodys() -> None:
    """A suffix never turns one id into another that exists."""
    given = turns([call("a"), call("ax2")], [result("a"), result("ax2")], [call("a")], [result("a")])
    assert ids(tool_ids.distinct(given, str))[2:] == [["ax3"], ["ax3"]]


@pytest.mark.parametrize("other", ["call_1", "call-1", "call1"])
def test_twice_at_once(other: str) -> None:
    """Two calls with one id in the same answer cannot be told apart, and are refused."""
    with pytest.raises(InvalidRequest, match="two tool calls of one message") as caught:
        tool_ids.distinct(turns([call("call_1"), call(other)]), tool_ids.plain)
    assert caught.value.param == "messages"


def test_a_new_one() -> None:
    """What is made has letters and digits alone, 40 at most, so every client keeps and every API takes it."""
    made = {tool_ids.new() for _ in range(100)}
    assert len(made) == 100
    for id_ in made:
        assert id_.isascii()
        assert id_.isalnum()
        assert len(id_) <= 40
        assert tool_ids.plain(id_) == tool_ids.for_anthropic(id_) == id_
        assert tool_ids.plain(tool_ids.for_openai(id_)) == id_


def test_their_order() -> None:
    """New ids sort as they were made, for clients that sort the calls of an answer by their ids."""
    made = [tool_ids.new() for _ in range(10_000)]
    assert made == sorted(made)
    assert [tool_ids.for_openai(id_) for id_ in made] == sorted(tool_ids.for_openai(id_) for id_ in made)


@pytest.mark.parametrize(
    ("given", "normal"),
    [("call_a-1", "calla1"), ("x" * 50, "x" * 50), ("_" * 9 + "a", "a"), ("é", "cb1abf8beff3192f")],
)
def test_plain(given: str, normal: str) -> None:
    """An id counts by its letters and digits; one without any still counts."""
    assert normal == tool_ids.plain(given)
