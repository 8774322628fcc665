"""Checks schemas for answers and for the input of strict tools: the API can only enforce some of them.

Sources: github.com/veryfront/veryfront-code/pull/3921 and BerriAI/litellm/issues/35808 (objects must be
closed), agentjido/req_llm/issues/302 and sherifkozman/the-llm-council/pull/55 (bounds of numbers),
ghostlobster/memorize-everything/issues/93 (lists), langgenius/dify-official-plugins/issues/3886 (no type),
vercel/ai/issues/20681 (strict tools: the same); anthropics/skills `shared/tool-use-concepts.md`, "JSON Schema
Limitations" (recursion, bounds of strings, formats), and what Anthropic's SDK removes before it sends a
request, `anthropic/lib/_parse/_transform.py` (oneOf, formats, lists).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


FORMATS = (
    *("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"),
    "text",  # Anthropic's own SDK writes this where there is no format
)
_UNSUPPORTED = {
    "integer": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "number": ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"),
    "string": ("maxLength", "minLength"),
    "array": ("contains", "maxContains", "maxItems", "minContains", "prefixItems", "uniqueItems"),
    "object": ("maxProperties", "minProperties", "patternProperties", "propertyNames"),
}
_TYPED_BY = ("$ref", "allOf", "anyOf", "const", "enum", "type")
_LOCAL = ("#/$defs/", "#/definitions/")


def check_output_schema(schema: dict[str, Any]) -> Iterator[str]:
    """Yield errors, without a path, for what the API cannot enforce."""
    definitions = {
        f"{root}{name}": item for root in _LOCAL for name, item in _dict(schema.get(root.strip("#/"))).items()
    }
    yield from _check(schema, definitions, ())
    for place, item in definitions.items():
        yield from _check(item, definitions, (place,))


def _check(schema: object, definitions: dict[str, Any], inside: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    if "oneOf" in schema:
        yield "Schema type 'oneOf' is not supported"
    if not any(name in schema for name in (*_TYPED_BY, "oneOf")):
        yield f"Invalid schema: Schema type is missing for schema: {schema!r}"
    if "$ref" in schema:
        yield from _check_reference(schema["$ref"], definitions, inside)
    types = schema.get("type", ())
    for kind in [types] if isinstance(types, str) else types:
        yield from _check_kind(schema, kind)
    for item in _inner(schema):
        yield from _check(item, definitions, inside)


def _check_kind(schema: dict[str, Any], kind: str) -> Iterator[str]:
    found = [name for name in _UNSUPPORTED.get(kind, ()) if name in schema]
    if len(found) == 1:
        yield f"For '{kind}' type, property '{found[0]}' is not supported"
    elif found:
        yield f"For '{kind}' type, properties {', '.join(found)} are not supported"
    if kind == "object":
        yield from _check_closed(schema)
    if kind == "array" and schema.get("minItems", 0) not in (0, 1):
        yield "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if kind == "string" and schema.get("format", FORMATS[0]) not in FORMATS:
        yield f"String format '{schema['format']}' is not supported"


def _check_closed(schema: dict[str, Any]) -> Iterator[str]:
    more = schema.get("additionalProperties")
    if more is None:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
    elif more is not False:
        text = json.dumps(more) if isinstance(more, bool) else "object"
        yield (
            f"For 'object' type, 'additionalProperties: {text}' is not supported. "
            "Please set 'additionalProperties' to false"
        )


def _check_reference(target: str, definitions: dict[str, Any], inside: tuple[str, ...]) -> Iterator[str]:
    if target in inside or target == "#":
        yield f"Recursive schemas are not supported: {target}"
    elif target not in definitions:
        yield f"Only references to definitions of the schema itself are supported: {target}"
    else:
        # Errors inside are reported once, with the definition itself. Here, we only look for a circle.
        told = _check(definitions[target], definitions, (*inside, target))
        yield from (message for message in told if message.startswith("Recursive"))


def _inner(schema: dict[str, Any]) -> Iterator[object]:
    yield from _dict(schema.get("properties")).values()
    for name in ("allOf", "anyOf"):
        yield from schema.get(name, ())
    yield schema.get("items")


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
