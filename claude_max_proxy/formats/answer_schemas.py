"""Checks the schema of a structured answer before a backend is asked."""

from __future__ import annotations

from typing import Any

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.formats.json_schema import compile_schema
from claude_max_proxy.formats.quoting import shown


def checked_schema(schema: dict[str, Any], path: str) -> dict[str, Any]:
    """Return ``schema`` unchanged, or raise :class:`InvalidRequest` if an answer cannot follow it.

    In every API that has schemas, the answer is an object. The schema must be complete: nothing is fetched.
    ``path`` is the schema's place in the request.
    """
    kind = schema.get("type")
    if kind != "object":
        raise InvalidRequest.at(
            f"{path}.type",
            f'the schema must be of type "object" at its root, not {shown(kind)}; put what '
            "is asked for into a property of an object",
            code="invalid_schema",
        )
    compile_schema(schema, path)
    return schema
