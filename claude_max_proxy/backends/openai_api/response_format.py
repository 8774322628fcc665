"""The form of a structured answer as the chat completions API takes it. Pure."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import ResponseFormat


_ANY_OBJECT = ({"type": "object"}, {"type": "object", "additionalProperties": True})


def response_format(schema: dict[str, Any], said: ResponseFormat = ResponseFormat()) -> dict[str, Any]:  # noqa: B008  # frozen
    """Ask for JSON: any object, or one of a schema, with what the client ``said`` of it.

    Where the client did not say whether the schema is to be enforced, it is where the API can enforce it.
    """
    if schema in _ANY_OBJECT:
        return {"type": "json_object"}

    strict = _is_closed(schema) if said.strict is None else said.strict
    named: dict[str, Any] = {"name": said.name or "answer", "schema": schema, "strict": strict}
    if said.description:
        named["description"] = said.description
    return {"type": "json_schema", "json_schema": named}


def _is_closed(schema: Any) -> bool:
    """Whether every object in a schema requires all that it names and allows no more: else "strict" fails."""
    if isinstance(schema, list):
        return all(_is_closed(item) for item in schema)
    if not isinstance(schema, dict):
        return True

    properties = schema.get("properties", {})
    if schema.get("type") == "object" or properties:
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or set(required) != set(properties):
            return False
    return all(_is_closed(value) for value in schema.values())
