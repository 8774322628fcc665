"""The schema for the CLI's own validator: never stricter than the client's, with common keywords only."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from claude_max_proxy import InvalidRequest
from claude_max_proxy.backends.claude_cli.accepted_schema import accepted
from claude_max_proxy.formats.json_schema import compile_schema, value_problem


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "ab", "①"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from("abc")
TYPES = st.sampled_from(["object", "array", "string", "integer", "null", "boolean", "number"])


def _schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    words: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "properties": st.dictionaries(NAMES, inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=1),
        "additionalProperties": inner,
        "required": st.lists(NAMES, max_size=2, unique=True),
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        "if": inner,
        "then": inner,
        "enum": st.lists(VALUES, max_size=3),
        "const": VALUES,
        "minimum": st.integers(-2, 2),
        "exclusiveMaximum": st.integers(-2, 2),
        "maxLength": st.integers(0, 2),
        "uniqueItems": st.booleans(),
        "maxProperties": st.integers(0, 2),
        "contains": inner,
        "propertyNames": inner,
        "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, unique=True, max_size=2), max_size=1),
        "$ref": st.sampled_from(["#/$defs/a", "#/$defs/b", "#/properties/a", "#"]),
        "$id": st.sampled_from(["http://x/y"]),
        "format": st.sampled_from(["date-time", "nobody-knows"]),
        "x-note": VALUES,
        "description": st.just("d"),
    }
    return st.fixed_dictionaries({}, optional=words) | st.booleans()


SCHEMAS = st.recursive(
    st.fixed_dictionaries({}, optional={"type": TYPES}) | st.booleans(), _schemas, max_leaves=8
)
ROOTS = st.builds(
    lambda root, a, b: {**(root if isinstance(root, dict) else {}), "$defs": {"a": a, "b": b}},
    SCHEMAS,
    SCHEMAS,
    SCHEMAS,
)
COMMON = {
    *(
        "$ref",
        "$defs",
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "minimum",
    ),
    *("additionalProperties", "exclusiveMaximum", "maxLength", "uniqueItems", "maxProperties"),
}


@given(ROOTS, VALUES)
def test_it_is_never_stricter(schema: dict[str, Any], value: Any) -> None:
    """A value that follows the client's schema follows this one too, so that the CLI never rejects it."""
    try:
        own = compile_schema(schema, "here")
    except InvalidRequest:
        assume(False)
    assume(value_problem(own, value) == "")
    ours = compile_schema(accepted(schema), "here")
    assert value_problem(ours, value) == ""


@given(ROOTS)
def test_it_holds_common_words_only(schema: dict[str, Any]) -> None:
    """It contains no keyword that a validator of an older draft would not know."""
    assert _words(accepted(schema)) <= COMMON


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ({"when": "x", "kind": "a"}, True),
        ({"kind": "a"}, False),
        ({"when": 1, "kind": "a"}, False),
        ({"when": "x", "kind": "c"}, False),
        ({"when": "x", "kind": "a", "more": 1}, False),
    ],
)
def test_it_is_still_worth_something(value: Any, good: bool) -> None:
    """The most common mistakes of models are still found at once: names, types, choices."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "title": "T",
        "properties": {
            "when": {"type": "string", "format": "date-time", "example": "x"},
            "kind": {"enum": ["a", "b"], "x-enum-names": ["A", "B"]},
        },
        "required": ["when", "kind"],
        "additionalProperties": False,
    }
    assert (value_problem(compile_schema(accepted(schema), "here"), value) == "") == good


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "patternProperties": {"^a": {}}, "additionalProperties": False}, {"ab": 1}),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", 1]),
        ({"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}, ["a", 1]),
    ],
)
def test_what_must_go_together(schema: dict[str, Any], value: Any) -> None:
    """A word whose meaning depends on one that is left out is left out, too."""
    assert value_problem(compile_schema(accepted(schema), "here"), value) == ""


def _words(schema: Any) -> set[str]:
    if not isinstance(schema, dict):
        return set()

    words = set(schema)
    for name, value in schema.items():
        if name in {"properties", "$defs"}:
            words |= {word for inner in value.values() for word in _words(inner)}
        elif name in {"anyOf", "allOf"}:
            words |= {word for inner in value for word in _words(inner)}
        elif name in {"items", "additionalProperties"}:
            words |= _words(value)
    return words
