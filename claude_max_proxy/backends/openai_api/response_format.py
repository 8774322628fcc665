"""Writes the format of a structured answer for the chat completions API. Pure."""

from __future__ import annotations

from typing import Any

from claude_max_proxy import ResponseFormat


# The keywords that contain schemas by names that the client chose, and those that contain no schemas but
# values.
_TABLES = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_NO_SCHEMAS = frozenset({"const", "default", "enum", "examples", "required"})
_ANY_OBJECT = ({"type": "object"}, {"type": "object", "additionalProperties": True})


def response_format(schema: dict[str, Any], said: ResponseFormat = ResponseFormat()) -> dict[str, Any]:  # noqa: B008  # frozen
    """Return the ``response_format`` that asks for any JSON object, or for one that follows ``schema``.

    ``said`` is what else the client has said about the format. If it has not said whether the schema is to be
    enforced, this asks for it if the API can enforce the schema.
    """
    if schema in _ANY_OBJECT:
        return {"type": "json_object"}

    strict = _is_closed(schema) if said.strict is None else said.strict
    named: dict[str, Any] = {"name": said.name or "answer", "schema": schema, "strict": strict}
    if said.description:
        named["description"] = said.description
    return {"type": "json_schema", "json_schema": named}


def _is_closed(schema: Any) -> bool:
    """Return whether every object in a schema requires all its properties and allows no others.

    The API refuses to enforce any other schema.
    """
    if isinstance(schema, list):
        return all(_is_closed(item) for item in schema)
    if not isinstance(schema, dict):
        return True

    properties = schema.get("properties", {})
    if isinstance(properties, dict) and (schema.get("type") == "object" or properties):
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or set(required) != set(properties):
            return False
    inside = {name: value for name, value in schema.items() if name not in _NO_SCHEMAS}
    tables = [inside.pop(name) for name in _TABLES if isinstance(inside.get(name), dict)]
    return all(_is_closed(value) for table in (*tables, inside) for value in table.values())
