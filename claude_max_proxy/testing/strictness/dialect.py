"""Whether a value is a JSON schema of draft 2020-12, by that draft's own meta-schema.

It is written out here since the package must run without the `jsonschema` library, which judges the same in
a test of this file.
"""

from __future__ import annotations

import re
from collections.abc import Callable


_TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}
_ANCHOR = re.compile(r"^[A-Za-z_][-A-Za-z0-9._]*$")
_IDENTIFIER = re.compile(r"^[^#]*#?$")


def is_schema(value: object) -> bool:
    """Whether the draft's meta-schema accepts it; unknown keywords are no fault."""
    if isinstance(value, bool):
        return True
    if not isinstance(value, dict):
        return False
    return all(_KEYWORDS[name](item) for name, item in value.items() if name in _KEYWORDS)


def _anything(_: object) -> bool:
    return True


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_string(value: object) -> bool:
    return isinstance(value, str)


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _is_count(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return value >= 0 and float(value).is_integer()


def _is_anchor(value: object) -> bool:
    return isinstance(value, str) and _ANCHOR.search(value) is not None


def _is_identifier(value: object) -> bool:
    return isinstance(value, str) and _IDENTIFIER.search(value) is not None


def _is_type(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and _are_unique_strings(value) and set(value) <= _TYPES
    return isinstance(value, str) and value in _TYPES


def _are_unique_strings(value: object) -> bool:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return False
    return len(set(value)) == len(value)


def _are_schemas(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_schema, value))


def _is_map(of: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(of, value.values()))


def _is_dependency(value: object) -> bool:
    return _are_unique_strings(value) or is_schema(value)


_KEYWORDS: dict[str, Callable[[object], bool]] = {
    "$id": _is_identifier,
    "$anchor": _is_anchor,
    "$dynamicAnchor": _is_anchor,
    "$recursiveAnchor": _is_anchor,
    "$vocabulary": _is_map(_is_boolean),
    **dict.fromkeys(("$defs", "definitions", "properties", "patternProperties"), _is_map(is_schema)),
    "dependentSchemas": _is_map(is_schema),
    "dependencies": _is_map(_is_dependency),
    "dependentRequired": _is_map(_are_unique_strings),
    **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), _are_schemas),
    **dict.fromkeys(("items", "contains", "additionalProperties", "propertyNames", "not"), is_schema),
    **dict.fromkeys(("if", "then", "else", "unevaluatedItems", "unevaluatedProperties"), is_schema),
    "contentSchema": is_schema,
    "type": _is_type,
    "const": _anything,
    **dict.fromkeys(("enum", "examples"), _is_list),
    "multipleOf": _is_positive,
    **dict.fromkeys(("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum"), _is_number),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems"), _is_count),
    **dict.fromkeys(("maxContains", "minContains", "maxProperties", "minProperties"), _is_count),
    "required": _are_unique_strings,
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _is_boolean),
    **dict.fromkeys(("$schema", "$ref", "$dynamicRef", "$recursiveRef", "$comment"), _is_string),
    **dict.fromkeys(("title", "description", "format", "pattern"), _is_string),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), _is_string),
}
