"""Which ``response_format`` asks an API over HTTP for a structured answer."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy.backends.openai_api.response_format import response_format
from claude_max_proxy.request import ResponseFormat


CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN = {**CLOSED, "additionalProperties": True}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        (OPEN, False),
        ({**CLOSED, "required": []}, False),
        ({"anyOf": [CLOSED, {"type": "null"}]}, True),
        ({"anyOf": [CLOSED, OPEN]}, False),
        ({**CLOSED, "properties": {"a": OPEN}}, False),
    ],
)
def test_what_can_be_enforced(schema: dict[str, Any], strict: bool) -> None:
    """A schema is to be enforced if the API can do that, or as the client says."""
    assert response_format(schema)["json_schema"] == {"name": "answer", "schema": schema, "strict": strict}
    said = ResponseFormat(strict=not strict)
    assert response_format(schema, said)["json_schema"]["strict"] is not strict


def test_what_the_client_says_of_it() -> None:
    """The client's name and description arrive."""
    said = ResponseFormat(name="person", description="Somebody.")
    found = response_format(CLOSED, said)["json_schema"]
    assert (found["name"], found["description"]) == ("person", "Somebody.")


def test_any_object() -> None:
    """Any object is asked for without a schema."""
    assert response_format({"type": "object"}) == {"type": "json_object"}
