"""Requests as values."""

from __future__ import annotations

import msgspec
import pytest

from claude_max_proxy import Client, Message, Request, Text, Tool, ToolCall, ToolChoice, ToolResult


def test_a_request_starts_empty() -> None:
    """Everything but the model has a default, and no default is shared."""
    first, second = Request("a"), Request("b")
    first.messages.append(Message("user", [Text("x")]))
    first.state["seen"] = True
    first.ignore("seed")
    assert Request("b") == second
    assert ToolChoice("auto") == second.tool_choice


def test_ignored_names_are_kept_once_and_in_order() -> None:
    """A parameter is listed once, however often it is ignored."""
    request = Request("a")
    for name in ("seed", "user", "seed"):
        request.ignore(name)
    assert request.ignored == ["seed", "user"]


@pytest.mark.parametrize(
    "value",
    [Text("x"), ToolCall("1", "read", "{}"), ToolResult("1", (Text("x"),)), Tool("read"), Client("me")],
)
def test_values_are_frozen(value: msgspec.Struct) -> None:
    """Parts, tools and clients cannot be changed after they are made."""
    with pytest.raises(AttributeError):
        setattr(value, value.__struct_fields__[0], "y")


def test_a_request_can_be_changed_in_place() -> None:
    """A plugin may change a request and its messages."""
    request = Request("a", messages=[Message("user", [Text("x")])])
    request.messages[0].ephemeral = True
    request.system = "be brief"
    assert request.messages[0].ephemeral
    assert request.system == "be brief"
