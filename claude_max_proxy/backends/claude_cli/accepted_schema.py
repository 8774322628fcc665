"""A schema for the CLI's own validator, made of the client's: never stricter, and surely understood. Pure.

The CLI drops a schema that holds a word which its validator does not know, and asks for no structured answer
then, without saying so. So only what every draft since 6 has in common is kept of it. The model is told the
client's schema as it is, and every answer is held against that afterwards; the CLI's validator only lets the
model try again sooner.
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
    if "$ref" in schema:  # what stands beside it counts in some drafts only
        return {"$ref": schema["$ref"], **definitions} if _is_local(schema["$ref"]) else definitions

    kept = {name: value for name, value in schema.items() if name in _PLAIN} | definitions
    for name, write in _WRITERS.items():
        if name in schema:
            kept |= write(schema)
    return kept | _combined(schema)


def _within(schema: Any) -> Any:
    """Do it for a schema inside another; with an id of its own, its references mean other places."""
    return {} if isinstance(schema, dict) and "$id" in schema else accepted(schema)


def _is_local(reference: Any) -> bool:
    """Tell whether a reference leads to a definition at the root, whose place stays the same."""
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
    """Keep it, unless it would speak of other properties than before: those that a pattern allows."""
    if "patternProperties" in schema:
        return {}

    return {"additionalProperties": _within(schema["additionalProperties"])}


def _items(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep it, unless it speaks of the items behind the first ones, or of each by its place."""
    if "prefixItems" in schema or isinstance(schema["items"], list):
        return {}

    return {"items": _within(schema["items"])}


def _required(schema: dict[str, Any]) -> dict[str, Any]:
    return {"required": list(dict.fromkeys(schema["required"]))}


def _enum(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep it, unless it is empty or says something twice, which not every draft allows."""
    values = schema["enum"]
    distinct = all(value not in values[:index] for index, value in enumerate(values))
    return {"enum": values} if values and distinct else {}


def _combined(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep choices; of exactly one it becomes one of at least one, since each may accept more now."""
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
