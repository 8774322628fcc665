"""Derives a schema for the CLI's own validator from the client's: never stricter, always understood. Pure.

If a schema contains a keyword that the CLI's validator does not know, the CLI drops the schema and asks for
no structured answer, without saying so. So only the keywords that every draft since draft 6 has in common are
kept. The model is still told the client's schema as it is, and the gateway checks every answer against it;
the CLI's validator only lets the model try again sooner.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


_PLAIN = frozenset(
    {
        *("type", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
    }
)
_DEFINITIONS = ("$defs", "definitions")
_LOCAL = tuple(f"#/{name}/" for name in _DEFINITIONS)


def accepted(schema: Any) -> Any:
    """Return a schema that accepts everything that ``schema`` does, and perhaps more."""
    if not isinstance(schema, dict):
        return schema is not False

    definitions = _definitions(schema)
    if "$ref" in schema:  # only some drafts take account of the keywords next to it
        return {"$ref": schema["$ref"], **definitions} if _is_local(schema["$ref"]) else definitions

    kept = {name: value for name, value in schema.items() if name in _PLAIN} | definitions
    for name, write in _WRITERS.items():
        if name in schema:
            kept |= write(schema)
    return kept | _combined(schema)


def _within(schema: Any) -> Any:
    """Return the accepted form of a schema inside another one.

    If it has an ``$id``, its references are relative to that, so anything is accepted in its place.
    """
    return {} if isinstance(schema, dict) and "$id" in schema else accepted(schema)


def _is_local(reference: Any) -> bool:
    """Return whether a reference leads to a definition at the root, whose place stays the same."""
    return isinstance(reference, str) and reference.startswith(_LOCAL) and reference.count("/") == 2


def _definitions(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: _within(value) for key, value in schema[name].items()}
        for name in _DEFINITIONS
        if name in schema
    }


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    return {"properties": {name: _within(value) for name, value in schema["properties"].items()}}


def _additional(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep ``additionalProperties``, unless it would now also apply to properties that a pattern allows.

    Patterns are dropped, so the properties that match one would become additional ones.
    """
    if "patternProperties" in schema:
        return {}

    return {"additionalProperties": _within(schema["additionalProperties"])}


def _items(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep ``items``, unless it describes only the items after a prefix, or each item by its position."""
    if "prefixItems" in schema or isinstance(schema["items"], list):
        return {}

    return {"items": _within(schema["items"])}


def _required(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": list(dict.fromkeys(schema["required"]))}


def _enum(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep ``enum``, unless it is empty or has a value twice, which not every draft allows."""
    values = schema["enum"]
    distinct = all(value not in values[:index] for index, value in enumerate(values))
    return {"enum": values} if values and distinct else {}


def _combined(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep choices. "Exactly one of" becomes "at least one of", since each choice may accept more now."""
    parts = [_within(part) for part in schema.get("allOf", [])]
    choices = [schema[name] for name in ("anyOf", "oneOf") if name in schema]
    parts += [{"anyOf": [_within(choice) for choice in one]} for one in choices]
    return {"allOf": parts} if parts else {}


_WRITERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "properties": _properties,
    "required": _required,
    "enum": _enum,
    "additionalProperties": _additional,
    "items": _items,
}
