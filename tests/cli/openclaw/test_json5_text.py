"""Merging into JSON5 texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.openclaw.json5_text import merge, read


WANTED = {"a": {"b": "new", "list": [{"id": "x", "n": 1}, {"id": "y", "n": 2}]}}
COMMENTED = """\
// top
{
  // about a
  a: {
    'c': 1, // one
    /* before b */ b: 'old', /* after b */
    list: [
      { id: 'x', n: 0, own: true }, // mine
    ],
  },
  z: [1, 2,], // last
} // end
"""
keys = st.text("ab", min_size=1, max_size=2)
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
objects = st.recursive(
    st.dictionaries(keys, scalars, max_size=3),
    lambda inner: st.dictionaries(keys, inner | scalars, max_size=3),
)


def combined(before: Any, wanted: Any) -> Any:
    """Return the result of merging objects."""
    if not (isinstance(before, dict) and isinstance(wanted, dict)):
        return wanted
    merged = {key: combined(before[key], one) if key in before else one for key, one in wanted.items()}
    return {**before, **merged}


def test_everything_else_keeps_its_bytes() -> None:
    """Comments, quotes and trailing commas stay; only differences are replaced or added."""
    expected = COMMENTED.replace("b: 'old'", 'b: "new"').replace("n: 0, own: true }", "n: 1, own: true }")
    expected = expected.replace("// mine\n", '// mine\n      {\n        id: "y",\n        n: 2\n      },\n')
    assert merge(COMMENTED, WANTED) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{ }\n",
        "{ // nothing yet\n}\n",
        '{"z": 1}',
        "{z: 1 // no comma\n}",
        '{\r\n\t"z": 1,\r\n}\r\n',
        "\ufeff{a: null}",
        "{a: {list: []}}",
        "{a: {b: 1}, a: {b: 'the last counts'}}",
        COMMENTED,
    ],
)
def test_merging_into_any_manner_of_writing(text: str) -> None:
    """Afterwards the wanted values are there, the other ones remain, and a second merge changes nothing."""
    merged = merge(text, WANTED)
    value = read(merged)
    assert value["a"]["b"] == "new"
    assert [one["id"] for one in value["a"]["list"]] == ["x", "y"]
    assert value.get("z") == read(text).get("z")
    assert merge(merged, WANTED) == merged
    assert ("\r\n" in merged) == ("\r\n" in text)


def test_the_manner_of_the_file_is_kept() -> None:
    """Quoted keys, tabs and the width of the indentation follow the file."""
    assert merge('{\n\t"z": 1\n}\n', {"a": {"b": 2}}) == '{\n\t"z": 1,\n\t"a": {\n\t\t"b": 2\n\t}\n}\n'
    assert merge("{\n    z: 1\n}", {"a-b": {"c": 2}}) == '{\n    z: 1,\n    "a-b": {\n        c: 2\n    }\n}'


@settings(max_examples=50, deadline=None)
@given(before=objects, wanted=objects, indent=st.sampled_from([None, 2]))
def test_any_objects(before: dict[str, Any], wanted: dict[str, Any], indent: int | None) -> None:
    """A merged text has the same value as the merged objects."""
    merged = merge(json.dumps(before, indent=indent, ensure_ascii=False), wanted)
    assert read(merged) == combined(before, wanted)
    assert merge(merged, wanted) == merged


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{a: 1", 1),
        ("{\n a: 1\n b: 2}", 3),
        ("{\n\n 'a: 1}", 3),
        ("{a:1}\n}", 2),
        ("[1]", 1),
        ("{\na: tru}", 2),
    ],
)
def test_broken_texts(text: str, line: int) -> None:
    """A text that is not a JSON5 object is refused, with the line."""
    with pytest.raises(ConfigError, match=f"^line {line}: "):
        read(text)
