"""Whether the new messages of a request answer the tool calls that wait for results."""

from __future__ import annotations

import pytest

from claude_max_proxy import Image, Message, Part, Text, ToolCall, ToolResult
from claude_max_proxy.backends.claude_cli.continuation import results_for
from claude_max_proxy.backends.claude_cli.tools import MAX_RESULT_CHARACTERS


ASKED = Message("user", [Text("hi")])
CALLED = Message("assistant", [ToolCall("call1", "look", "{}")])
ANSWERED = Message("assistant", [Text("hello")])
PENDING = {"call_1": "toolu_1", "call_2": "toolu_2"}


def result(call: str, text: str = "found") -> ToolResult:
    """Return a tool's result."""
    return ToolResult(call, (Text(text),))


def user(*parts: Part, ephemeral: bool = False) -> Message:
    """Return a user's message."""
    return Message("user", list(parts), ephemeral)


def test_results_that_answer_all() -> None:
    """Results are matched with the waiting calls, by ids as clients keep them, in the calls' order."""
    one, two = result("call2"), result("call1", "nothing")
    assert results_for(PENDING, [user(one), user(two)]) == {"toolu_1": two, "toolu_2": one}
    assert list(results_for(PENDING, [user(one, two)]) or {}) == ["toolu_1", "toolu_2"]


@pytest.mark.parametrize(
    "new",
    [
        [],
        [user(result("call1"))],
        [user(result("call1"), result("call2"), result("call3"))],
        [user(result("call1"), result("call3"))],
        [user(result("call1"), result("call1"), result("call2"))],
        [user(result("call1"), result("call2"), Text("and now?"))],
        [user(result("call1"), result("call2")), ASKED],
        [user(result("call1"), result("call2", "x" * (MAX_RESULT_CHARACTERS + 1)))],
        [user(result("call1"), ToolResult("call2", (Image(url="https://a.example/b.png"),)))],
        [user(result("call1"), result("call2", " \n"))],
    ],
)
def test_results_that_do_not(new: list[Message]) -> None:
    """With too few, too many or foreign results, more text, or too much of it, the turn is replayed."""
    assert results_for(PENDING, new) is None


def test_nothing_waits() -> None:
    """Results for which no call waits answer nothing."""
    assert results_for({}, []) is None
    assert results_for({}, [user(result("call1"))]) is None


def test_context_rides_along() -> None:
    """Ephemeral text becomes one more block of the last result; text and errors stay as they were."""
    failed = ToolResult("call1", (Text("lost"),), is_error=True)
    new = [user(failed, result("call2")), user(Text("context"), ephemeral=True)]
    assert results_for(PENDING, new) == {
        "toolu_1": failed,
        "toolu_2": ToolResult("call2", (Text("found"), Text("context"))),
    }


@pytest.mark.parametrize(
    "riding", [Text("x" * MAX_RESULT_CHARACTERS), Image("image/png", "AA"), result("call3")]
)
def test_what_cannot_ride_along(riding: Part) -> None:
    """With anything other than text that fits, the conversation is replayed."""
    new = [user(result("call1"), result("call2")), user(riding, ephemeral=True)]
    assert results_for(PENDING, new) is None


def test_nothing_rides_on_an_error() -> None:
    """Nothing is added to an error, since the CLI would join it with the error's text."""
    failed = ToolResult("call2", (Text("lost"),), is_error=True)
    new = [user(result("call1"), failed), user(Text("context"), ephemeral=True)]
    assert results_for(PENDING, new) is None
