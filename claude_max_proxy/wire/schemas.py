"""The schema of a structured answer, checked before anybody is asked."""

from __future__ import annotations

from typing import Any

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.json_schema import compile_schema


def checked_schema(schema: dict[str, Any], path: str) -> dict[str, Any]:
    """Return ``schema`` as it is; raise :class:`InvalidRequest` at ``path`` for one that no answer can have.

    An answer is an object, in every API that knows schemas. A schema must be whole: nothing is fetched.
    """
    kind = schema.get("type")
    if kind != "object":
        raise InvalidRequest(
            f'{path}.type: the schema must be of type "object" at its root, not {str(kind)[:80]!r}; put what '
            "is asked for into a property of an object",
            param=f"{path}.type",
            code="invalid_schema",
        )
    compile_schema(schema, path)
    return schema
