"""What dialects share: every refusal names the path of the field, wherever its struct is used."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import InvalidRequest, formats


class Inner(msgspec.Struct):
    """A struct inside another."""

    name: str


class Outer(msgspec.Struct):
    """A body."""

    one: Inner
    many: list[Inner] = []


CASES: dict[str, tuple[Any, str, str | None]] = {
    "missing": ({}, "one", "one"),
    "missing inside": ({"one": {}}, "one.name", "one.name"),
    "wrong inside": ({"one": {"name": 1}}, "one.name", "one.name"),
    "wrong in a list": (
        {"one": {"name": "a"}, "many": [{"name": "b"}, {"name": 5}]},
        "many[1].name",
        "many[1].name",
    ),
    "wrong itself": ([], "the body", None),
}


@pytest.mark.parametrize(("value", "said", "param"), CASES.values(), ids=CASES)
def test_paths(value: Any, said: str, param: str | None) -> None:
    """A field is named by its path in the body, or by a longer one if the struct is inside another."""
    with pytest.raises(InvalidRequest) as caught:
        formats.decode(msgspec.json.Decoder(Outer), msgspec.json.encode(value))
    assert caught.value.message.startswith(said)
    assert caught.value.param == param
    with pytest.raises(InvalidRequest) as caught:
        formats.convert(value, Outer, "input[3]")
    expected = f"input[3].{param}" if param else "input[3]"
    assert caught.value.message.startswith(expected)
    assert caught.value.param == expected


def test_lists_inside() -> None:
    """An index follows its path without a dot."""
    with pytest.raises(InvalidRequest) as caught:
        formats.convert([{"name": "a"}, {}], list[Inner], "tools")
    assert caught.value.param == "tools[1].name"
