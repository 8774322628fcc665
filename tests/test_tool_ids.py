"""Ids of tool calls: each only once for a provider, whatever a client's history holds."""

from __future__ import annotations

import pytest

from claude_max_proxy import InvalidRequest, Message, Part, Text, ToolCall, ToolResult, distinct_ids
from claude_max_proxy.backends.claude_cli.fingerprint import normal_id


def call(id_: str) -> ToolCall:
    """A call."""
    return ToolCall(id_, "look", "{}")


def result(id_: str, text: str = "found") -> ToolResult:
    """What it gave."""
    return ToolResult(id_, (Text(text),))


def turns(*turns: list[Part]) -> list[Message]:
    """An assistant's turn, a user's, and so on."""
    return [Message(("assistant", "user")[n % 2], parts) for n, parts in enumerate(turns)]  # type: ignore[arg-type]


def ids(messages: list[Message]) -> list[list[str]]:
    """The ids in each message."""
    return [
        [part.id for part in message.parts if isinstance(part, ToolCall | ToolResult)] for message in messages
    ]


def test_ids_of_their_own_stay() -> None:
    """A history without repetition is what it was, and the messages given are not changed."""
    given = turns([Text("I look."), call("a"), call("b")], [result("b"), result("a"), Text("go on")])
    assert distinct_ids(given, str) == given


def test_counted_anew_in_every_answer() -> None:
    """One id in many turns becomes many ids, and each result goes with the newest call before it."""
    given = turns([call("call_0")], [result("call_0", "1")], [call("call_0")], [result("call_0", "2")])
    given += turns([call("call_0"), call("call_1")], [result("call_1"), result("call_0")])
    before = ids(given)
    made = ids(distinct_ids(given, normal_id))
    assert made == [
        ["call0"],
        ["call0"],
        ["call0x2"],
        ["call0x2"],
        ["call0x3", "call1"],
        ["call1", "call0x3"],
    ]
    assert ids(given) == before
    assert ids(distinct_ids(given, normal_id)) == made


def test_a_made_up_id_is_nobodys() -> None:
    """What is appended never makes one id into another that is there."""
    given = turns([call("a"), call("ax2")], [result("a"), result("ax2")], [call("a")], [result("a")])
    assert ids(distinct_ids(given, str))[2:] == [["ax3"], ["ax3"]]


@pytest.mark.parametrize("other", ["call_1", "call-1", "call1"])
def test_twice_at_once(other: str) -> None:
    """Two calls of one id in one answer cannot be told apart, and are refused."""
    with pytest.raises(InvalidRequest, match="two tool calls of one message") as caught:
        distinct_ids(turns([call("call_1"), call(other)]), normal_id)
    assert caught.value.param == "messages"
