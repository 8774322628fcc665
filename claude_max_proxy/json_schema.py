"""JSON Schema: whether something is a schema, and whether a value follows one. Pure; nothing is ever fetched.

The validator is `jsonschema-rs <https://github.com/Stranger6667/jsonschema>`_. Formats are annotations, as
drafts since 2019-09 have it: a date that nobody can read is still a string.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from claude_max_proxy.errors import InvalidRequest


if TYPE_CHECKING:
    import jsonschema_rs

_DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"
_DRAFTS = {
    "http://json-schema.org/draft-04/schema": "Draft4Validator",
    "http://json-schema.org/draft-06/schema": "Draft6Validator",
    "http://json-schema.org/draft-07/schema": "Draft7Validator",
    "https://json-schema.org/draft/2019-09/schema": "Draft201909Validator",
}
_SHOWN = 200  # characters of what is wrong


def schema_problem(schema: Any) -> str:
    """Say why ``schema`` is no JSON schema of draft 2020-12, whatever it calls itself; empty if it is one."""
    error = next(iter(_metaschema().iter_errors(schema)), None)
    return _told(error) if error else ""


def compile_schema(schema: dict[str, Any], path: str) -> jsonschema_rs.Validator:
    """Return a validator of the draft that ``schema`` names, or of 2020-12.

    Raises :class:`InvalidRequest` with ``path`` for what is no schema, or refers to what it does not hold.
    """
    import jsonschema_rs  # only who has a schema pays for it

    named = str(schema.get("$schema", "")).removesuffix("#")
    validator = getattr(jsonschema_rs, _DRAFTS.get(named, "Draft202012Validator"))
    try:
        compiled: jsonschema_rs.Validator = validator(schema, retriever=_refuse, validate_formats=False)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise InvalidRequest(
            f"{path}: this is no JSON schema: {_told(error)}", param=path, code="invalid_schema"
        ) from error
    return compiled


def value_problem(validator: jsonschema_rs.Validator, value: Any) -> str:
    """Say where and why ``value`` does not follow the schema, without its words; empty if it follows."""
    error = next(iter(validator.iter_errors(value)), None)
    if error is None:
        return ""

    where = "".join(f"[{step!r}]" for step in error.instance_path)
    rule = "/".join(map(str, error.schema_path))
    return f"{where or 'the whole answer'} breaks the schema's rule {rule}"[:_SHOWN]


@cache
def _metaschema() -> jsonschema_rs.Validator:
    import jsonschema_rs  # only who has a schema pays for it

    return jsonschema_rs.Draft202012Validator({"$ref": _DRAFT_2020_12}, retriever=_refuse)


def _refuse(uri: str) -> Any:
    """Fetch nothing: a client must not make the proxy read files or ask other machines."""
    raise ValueError(f"{uri[:_SHOWN]!r} is not part of the schema")


def _told(error: Exception) -> str:
    """Return one line of what is wrong, and where."""
    message = str(getattr(error, "message", "") or error).partition("\n")[0][:_SHOWN]
    where = "".join(f"[{step!r}]" for step in getattr(error, "instance_path", ()))
    return f"{where[:_SHOWN]} {message}".strip()
