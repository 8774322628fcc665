"""When the arguments of a call have arrived as a whole."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy.backends.openai_api.arguments import Arguments


NAMES = st.text('a"\\}', max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\{}[]ü', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def said(fragments: list[str]) -> Iterator[bool]:
    """Return after each fragment whether everything has arrived."""
    arguments = Arguments()
    for end in range(1, len(fragments) + 1):
        yield arguments.complete(fragments[:end])


@given(st.dictionaries(NAMES, JSON, max_size=3))
def test_letter_by_letter(value: dict[str, object]) -> None:
    """An object is whole with its last letter, and not before, whatever its texts contain."""
    *before, last = said(list(json.dumps(value, ensure_ascii=False)))
    assert last
    assert not any(before)


@pytest.mark.parametrize(
    "fragments",
    [
        ["[1]"],
        ["{1}"],
        ['{"a": 1', "]"],
        ["{}", "x"],
        ["{}", " ", "{}"],
        ['{"a": "\\ud800"}'],
        ['"\\'],
        [""],
        [" "],
    ],
)
def test_what_is_no_object(fragments: list[str]) -> None:
    """What is no object, or goes on after it, is never whole in the end."""
    assert list(said(fragments))[-1] is False


def test_white_space_around() -> None:
    """White space before and after an object is no more of it."""
    assert list(said([" ", "{", "}", "\n", ""])) == [False, False, True, True, True]
