"""What the upstream would refuse is refused at once."""

from __future__ import annotations

import pytest

from claude_max_proxy import Image, InvalidRequest, Message, Part, Request, Text, ToolCall, ToolResult
from claude_max_proxy.backends.claude_cli.validation import check


def user(*parts: Part) -> Message:
    """Return a user's message."""
    return Message("user", list(parts))


def assistant(*parts: Part) -> Message:
    """Return the assistant's message."""
    return Message("assistant", list(parts))


DEEP = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"
HI, YES = user(Text("hi")), assistant(Text("yes"))
CALL, OTHER = ToolCall("call_1", "read", "{}"), ToolCall("call_2", "read", "{}")
RESULT, ANOTHER = ToolResult("call_1", (Text("x"),)), ToolResult("call_2", ())


@pytest.mark.parametrize(
    "messages",
    [
        [HI],
        [HI, YES, HI],
        [YES, HI],
        [user(Image(url="https://a"))],
        [user(Text(""), Text("x"))],
        [HI, assistant(CALL), user(RESULT)],
        [HI, assistant(CALL, OTHER), user(RESULT, ANOTHER)],
        [HI, assistant(CALL, OTHER), user(RESULT), user(ANOTHER)],
        [HI, assistant(CALL), user(ToolResult("call1", ()))],
        [HI, assistant(CALL), user(RESULT), assistant(CALL), user(RESULT)],
        [HI, assistant(CALL), user(RESULT, Text("and"))],
        [HI, assistant(ToolCall("c", "x", "{")), user(ToolResult("c", ()))],
        [HI, assistant(ToolCall("c", "x", DEEP)), user(ToolResult("c", ()))],
    ],
)
def test_what_can_be_asked(messages: list[Message]) -> None:
    """A conversation that ends with the user, with its calls answered, is accepted."""
    check(Request("m", messages=messages))


@pytest.mark.parametrize(
    ("messages", "words", "param"),
    [
        ([], "no user message", "messages"),
        ([YES], "no user message", "messages"),
        ([HI, YES], "last message is the assistant's", "messages[1]"),
        ([user()], "empty", "messages"),
        ([user(Text(""))], "empty", "messages"),
        ([user(Text(" \n\t"))], "empty", "messages"),
        ([HI, assistant(CALL), HI], "no tool result answers the tool calls 'call_1'", "messages"),
        ([HI, assistant(CALL, OTHER), user(RESULT)], "'call_2'", "messages"),
        ([HI, assistant(CALL), YES, user(RESULT)], "'call_1'", "messages"),
        ([user(RESULT)], "'call_1' answers no tool call", "messages"),
        ([HI, assistant(CALL), user(RESULT, RESULT)], "'call_1' answers no tool call", "messages"),
        ([HI, assistant(CALL), user(RESULT), user(RESULT)], "answers no tool call", "messages"),
        ([HI, assistant(CALL, CALL), user(RESULT)], "call_1", "messages"),
    ],
)
def test_what_cannot(messages: list[Message], words: str, param: str | None) -> None:
    """A conversation that the upstream would refuse is refused with what to change."""
    with pytest.raises(InvalidRequest, match=words) as caught:
        check(Request("m", messages=messages))
    assert caught.value.param == param
