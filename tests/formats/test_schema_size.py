"""How much work it is to follow a JSON schema."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy.formats.schema_size import written_out


LEAVES: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize(
    "reference",
    ["#/$defs/leaves", "#/$defs/a~1b~0", "#/$defs/with%20space", "#/allOf/0"],
)
def test_a_reference(reference: str) -> None:
    """What a reference leads to counts as if it was written there, by name or by number."""
    names = dict.fromkeys(("leaves", "a/b~", "with space"), LEAVES)
    schema = {"$defs": names, "allOf": [LEAVES], "not": {"$ref": reference}}
    assert written_out(schema) == written_out({**schema, "not": {"$ref": "#/none"}}) + written_out(LEAVES)


@pytest.mark.parametrize(
    "reference", ["#/allOf/1", "#/allOf/x", "#/allOf/999999999999", "#/type/0", "http://a/b", "#/none", 5]
)
def test_a_reference_that_leads_nowhere(reference: Any) -> None:
    """What is not there adds nothing."""
    schema = {"type": "object", "allOf": [LEAVES], "not": {"$ref": reference}}
    assert written_out(schema) == written_out({**schema, "not": {}})


def test_choices_of_choices() -> None:
    """Each of fifteen definitions refers to the next twice, so the size doubles each time."""
    names = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(15)}
    assert written_out({"$defs": names, "$ref": "#/$defs/d0"}) > 2**15


def test_a_schema_that_refers_to_itself() -> None:
    """A recursive reference counts once."""
    assert written_out({"properties": {"next": {"$ref": "#"}}}) < 10
