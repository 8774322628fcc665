"""JSON Schema: which schemas are valid, which values follow them, and that nothing is fetched."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest

from claude_max_proxy import InvalidRequest
from claude_max_proxy.formats.json_schema import compile_schema, schema_problem, value_problem


@pytest.mark.parametrize(
    ("schema", "value", "follows"),
    [
        ({"type": "object"}, {}, True),
        ({"properties": {"a": {"const": "①"}}}, {"a": "1"}, False),
        ({"properties": {"when": {"format": "date-time"}}}, {"when": "never"}, True),
        ({"items": [{"type": "string"}], "$schema": "http://json-schema.org/draft-07/schema#"}, [1], False),
        ({"prefixItems": [{"type": "string"}]}, [1], False),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, 1, False),
        ({"$schema": "http://nobody/knows/this", "minLength": 2}, "a", False),
        ({"x-note": 1, "example": 2, "discriminator": {"propertyName": "kind"}}, 1, True),
    ],
)
def test_values(schema: dict[str, Any], value: Any, follows: bool) -> None:
    """The draft that a schema names is used, and keywords that it does not have are no rules."""
    assert (value_problem(compile_schema(schema, "here"), value) == "") == follows


def test_a_problem_is_told_without_words_of_the_answer() -> None:
    """The error names the place and the rule, but not the value: the answer belongs to the client."""
    validator = compile_schema({"properties": {"a": {"items": {"maxLength": 3}}}}, "here")
    told = value_problem(validator, {"a": ["ok", "secret"]})
    assert told == "['a'][1] breaks the schema's rule properties/a/items/maxLength"


@pytest.mark.parametrize(
    "schema",
    [{"type": "any"}, {"required": None}, {"properties": []}, {"pattern": "("}, {"$ref": "#/$defs/none"}],
)
def test_what_is_no_schema(schema: dict[str, Any]) -> None:
    """An invalid schema is refused with its path."""
    with pytest.raises(InvalidRequest, match=r"^here: this is no JSON schema: ") as refused:
        compile_schema(schema, "here")
    assert refused.value.param == "here"


def test_nothing_is_fetched() -> None:
    """A schema may refer to files and other machines in any way: nothing is fetched or read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}/schema"
        for schema in (
            {"$ref": uri},
            {"$ref": "file:///etc/hostname"},
            {"$defs": {"a": {"$id": uri, "$ref": "b"}}, "$ref": "#/$defs/a"},
            {"$schema": uri},
            {"properties": {"a": {"$schema": uri, "$id": f"{uri}/a"}}},
        ):
            schema_problem(schema)
            with contextlib.suppress(InvalidRequest):
                value_problem(compile_schema(schema, "here"), {})
        with pytest.raises(TimeoutError):
            listener.accept()
