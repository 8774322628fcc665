"""What dialects share: every refusal names the path of the field, wherever its struct is used."""

from __future__ import annotations

from typing import Any, Literal

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


class Deep(msgspec.Struct):
    """A struct that may hold another one of its kind."""

    inner: Deep | None = None


class Choice(msgspec.Struct):
    """A field of a few words."""

    word: Literal["a", "b"]


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


def test_too_deep_to_be_converted() -> None:
    """What was decoded but is nested too deeply for its type is refused by its path."""
    value: dict[str, Any] = {}
    for _ in range(100_000):
        value = {"inner": value}
    with pytest.raises(InvalidRequest, match="nested too deeply") as caught:
        formats.convert(value, Deep, "input[3]")
    assert (caught.value.param, caught.value.code) == ("input[3]", "invalid_json")


def test_long_quotes_are_cut() -> None:
    """A refusal quotes only the beginning of a long value, and the log gets none of it."""
    with pytest.raises(InvalidRequest) as caught:
        formats.convert({"word": "x" * 10_000}, Choice, "")
    assert caught.value.message.startswith("word: invalid enum value 'xxx")
    assert caught.value.message.endswith("xxx…")
    assert len(caught.value.message) < 400
    assert caught.value.logged == "word: invalid enum value"
