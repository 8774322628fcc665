"""Checks values against the tables in `fields`, with pydantic's messages, which the API uses.

Every check yields messages, each of which begins with the path of what is wrong, as in
"tools.0.custom.input_schema.type: Field required".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from claude_max_proxy.testing.strictness.fields import Field, Fields


Betas = tuple[str, ...]
"""The values of the header `anthropic-beta`."""

_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "a valid boolean"),
    "integer": ((int,), "a valid integer"),
    "list": ((list,), "a valid list"),
    "number": ((int, float), "a valid number"),
    "object": ((dict,), "a valid dictionary"),
    "string": ((str,), "a valid string"),
    "strings": ((list,), "a valid list"),
    "text": ((str, list), "a valid string"),
}


def check_fields(value: object, fields: Fields, path: str, betas: Betas) -> Iterator[str]:
    """Yield errors for fields that are missing, unknown, or contain a wrong kind of value."""
    if not isinstance(value, dict):
        yield f"{path}: Input should be a valid dictionary or object to extract fields from"
        return
    for name, field in fields.items():
        if field.required and name not in value:
            yield f"{under(path, name)}: Field required"
    for name, item in value.items():
        known = fields.get(name)
        if known is None or not (known.beta == "" or any(beta.startswith(known.beta) for beta in betas)):
            yield f"{under(path, name)}: Extra inputs are not permitted"
        else:
            yield from _check_kind(item, known, under(path, name))


def check_tagged(value: object, tables: dict[str, Fields], path: str, betas: Betas) -> Iterator[str]:
    """Yield errors for an object whose `type` says which fields it has."""
    tag = tag_of(value)
    if not isinstance(value, dict):
        yield f"{path}: Input should be a valid dictionary or object to extract fields from"
    elif tag is None:
        yield f"{path}: Unable to extract tag using discriminator 'type'"
    elif tag not in tables:
        known = ", ".join(f"'{name}'" for name in sorted(tables))
        yield f"{path}: Input tag '{tag}' found using 'type' does not match any of the expected tags: {known}"
    else:
        yield from check_fields(value, tables[tag], under(path, tag), betas)


def tag_of(value: object) -> str | None:
    """Return the `type` of an object, or None if it has none that is a string."""
    tag = value.get("type") if isinstance(value, dict) else None
    return tag if isinstance(tag, str) else None


def under(path: str, name: str | int) -> str:
    """Return the path of a field in the object at `path`."""
    return f"{path}.{name}" if path else str(name)


def objects(value: object) -> list[tuple[int, dict[str, Any]]]:
    """Return the objects in a list with their indexes; other items are reported when the list is checked."""
    items = value if isinstance(value, list) else []
    return [(place, item) for place, item in enumerate(items) if isinstance(item, dict)]


def _check_kind(value: object, field: Field, path: str) -> Iterator[str]:
    if field.kind == "any" or (value is None and field.null):
        return
    types, words = _TYPES[field.kind]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield f"{path}: Input should be {words}"
    elif field.values and value not in field.values:
        yield f"{path}: Input should be {_alternatives(field.values)}"
    elif field.kind == "strings":
        for place, item in enumerate(cast("list[object]", value)):
            if not isinstance(item, str):
                yield f"{path}.{place}: Input should be a valid string"
    elif field.kind in ("integer", "number"):
        yield from _check_bounds(cast("float", value), field, path)


def _check_bounds(value: float, field: Field, path: str) -> Iterator[str]:
    if field.least is not None and value < field.least:
        yield f"{path}: Input should be greater than or equal to {field.least:g}"
    if field.most is not None and value > field.most:
        yield f"{path}: Input should be less than or equal to {field.most:g}"


def _alternatives(values: tuple[str, ...]) -> str:
    *first, last = (f"'{value}'" for value in values)
    return f"{', '.join(first)} or {last}" if first else last
