"""Checks JSON schemas, and values against them. Pure; nothing is ever fetched.

The validator is `jsonschema-rs <https://github.com/Stranger6667/jsonschema>`_. As in the drafts since
2019-09, ``format`` is only an annotation: a string is valid even if it is not the date that it should be.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.formats.quoting import shown
from claude_max_proxy.formats.schema_size import written_out


if TYPE_CHECKING:
    import jsonschema_rs

_DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"
_DRAFTS = {
    "http://json-schema.org/draft-04/schema": "Draft4Validator",
    "http://json-schema.org/draft-06/schema": "Draft6Validator",
    "http://json-schema.org/draft-07/schema": "Draft7Validator",
    "https://json-schema.org/draft/2019-09/schema": "Draft201909Validator",
}
_SHOWN = 200  # characters of a problem that are shown
_LARGEST = 30_000


def schema_problem(schema: Any) -> str:
    """Return why ``schema`` is no JSON schema of draft 2020-12, or an empty text if it is one.

    The draft that the schema itself names does not count.
    """
    error = next(iter(_metaschema().iter_errors(schema)), None)
    return _told(error) if error else ""


def compile_schema(schema: dict[str, Any], path: str) -> jsonschema_rs.Validator:
    """Return a validator for ``schema``, of the draft that it names or of 2020-12.

    Raises :class:`InvalidRequest` with ``path`` if it is no schema, if it refers to what it does not contain,
    or if it would take too long to follow.
    """
    import jsonschema_rs  # imported here because it takes time, which only schemas should cost

    _check_size(schema, path)
    named = str(schema.get("$schema", ""))[:_SHOWN].removesuffix("#")
    validator = getattr(jsonschema_rs, _DRAFTS.get(named, "Draft202012Validator"))
    try:
        compiled: jsonschema_rs.Validator = validator(schema, retriever=_refuse, validate_formats=False)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        what = f"{path}: this is no JSON schema"
        raise InvalidRequest(
            f"{what}: {_told(error)}", param=path, code="invalid_schema", logged=what
        ) from error
    return compiled


def _check_size(schema: dict[str, Any], path: str) -> None:
    """Refuse a schema that would take too long to follow: a validation blocks all else until it ends."""
    try:
        size = written_out(schema)
    except RecursionError as error:
        message = f"{path} is nested too deeply"
        raise InvalidRequest(message, param=path, code="invalid_schema") from error
    if size > _LARGEST:
        raise InvalidRequest.at(
            path,
            f"its parts refer to each other in too many ways: it would be more than {_LARGEST:,} "
            "schemas if every reference was written out",
            code="invalid_schema",
        )


def value_problem(validator: jsonschema_rs.Validator, value: Any) -> str:
    """Return where and why ``value`` does not follow the schema, or an empty text if it does.

    The text quotes nothing of the value but the names of its members.
    """
    if validator.is_valid(value):  # this is far faster than asking for the errors
        return ""

    error = next(iter(validator.iter_errors(value)))
    where = "".join(f"[{shown(step)}]" for step in error.instance_path)
    rule = "/".join(map(str, error.schema_path))
    return f"{where or 'the whole answer'} breaks the schema's rule {rule}"[:_SHOWN]


@cache
def _metaschema() -> jsonschema_rs.Validator:
    import jsonschema_rs  # imported here because it takes time, which only schemas should cost

    return jsonschema_rs.Draft202012Validator({"$ref": _DRAFT_2020_12}, retriever=_refuse)


def _refuse(uri: str) -> Any:
    """Refuse to fetch ``uri``: a client must not make the proxy read files or ask other machines."""
    raise ValueError(f"{uri[:_SHOWN]!r} is not part of the schema")


def _told(error: Exception) -> str:
    """Return one line that says what is wrong, and where."""
    message = str(getattr(error, "message", "") or error).partition("\n")[0][:_SHOWN]
    if "ecursion limit" in message:
        message = "it is nested too deeply"
    where = "".join(f"[{shown(step)}]" for step in getattr(error, "instance_path", ()))
    return f"{where[:_SHOWN]} {message}".strip()
