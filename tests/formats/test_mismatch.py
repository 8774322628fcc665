"""What msgspec says of values that do not fit, taken apart."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import pytest

from claude_max_proxy.formats.mismatch import Mismatch, joined, mismatch


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """Something in something."""

    kind: Literal["a", "b"] = "a"
    number: int = 0


class Outer(msgspec.Struct):
    """Something that must have an inner list."""

    inner: list[Inner]


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        (1, Mismatch("", "expected `object`, got `int`")),
        ({"inner": [{}, {"number": "1"}]}, Mismatch("inner[1].number", "expected `int`, got `str`")),
        ({"inner": [{"kind": "c"}]}, Mismatch("inner[0].kind", "invalid enum value 'c'")),
        ({}, Mismatch("", "object missing required field `inner`", missing="inner")),
        (
            {"inner": [{"nummer": 1}]},
            Mismatch("inner[0]", "object contains unknown field `nummer`", unknown="nummer"),
        ),
        ({"inner": [{"": 1}]}, Mismatch("inner[0]", "object contains unknown field ``", unknown="")),
        (
            {"inner": [{"a`\nb": 1}]},
            Mismatch("inner[0]", "object contains unknown field `a`\nb`", unknown="a`\nb"),
        ),
    ],
)
def test_taken_apart(value: Any, wrong: Mismatch) -> None:
    """Each error says where it is, what is wrong, and which field is missing or unknown."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, Outer)
    assert mismatch(caught.value) == wrong


@pytest.mark.parametrize(
    ("base", "path", "both"),
    [("a", "b", "a.b"), ("a", "[0].b", "a[0].b"), ("", "b", "b"), ("a", "", "a"), ("", "", "")],
)
def test_joined(base: str, path: str, both: str) -> None:
    """A dot stands between two names, and nowhere else."""
    assert joined(base, path) == both
