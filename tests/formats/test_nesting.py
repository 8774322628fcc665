"""Where a request is nested too deeply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from claude_max_proxy import Message, Request, Text, Tool, ToolCall
from claude_max_proxy.formats.nesting import DEEPEST, deep_path, deep_place


def nested(levels: int) -> Any:
    """Return lists in lists."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def calling(arguments: str) -> Request:
    """Return a request with a call of the assistant's."""
    said = Message("assistant", [Text("so"), ToolCall("c", "f", arguments)])
    return Request("m", messages=[Message("user", [Text("go")]), said])


@pytest.mark.parametrize("levels", [DEEPEST + 1, 100_000])
def test_the_path_in_a_request(levels: int) -> None:
    """A tool is named by its place, a call by where calls are; what is flat has no such path."""
    shallow = Tool("f", parameters={"a": nested(9)})
    deep = Tool("f", parameters={"a": nested(DEEPEST)})
    assert deep_path(Request("m", tools=[shallow, deep])) == "tools[1]"
    assert deep_path(Request("m", extra={"odd": nested(DEEPEST + 1)})) == "odd"
    assert deep_path(calling(f'{{"a":{"[" * levels}{"]" * levels}}}')) == "messages"


@pytest.mark.parametrize("arguments", ["{}", '{"a": [[1]]}', "no JSON"])
def test_arguments_that_are_flat(arguments: str) -> None:
    """Arguments that are no JSON at all are somebody else's to refuse."""
    assert deep_path(calling(arguments)) == ""


def test_the_place_in_a_body() -> None:
    """The place is told with its names and numbers, but no further than a reader needs."""
    body = json.dumps({"a": {"b": 1}, "list": [1, {"deep,": "[}"}, {"x": nested(DEEPEST)}]})
    assert deep_place(body.encode()) == "list[2].x[0]"
    assert deep_place(b'{"a": [1, 2, {"b": []}]}') == ""
