"""Splits msgspec's error for a value that does not fit its type: where it is, what is wrong. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec


_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_FIELD = re.compile(r"Object (?P<what>missing required|contains unknown) field `(?P<field>.*)`", re.DOTALL)


class Mismatch(NamedTuple):
    """A value that does not fit its type.

    ``path`` is its place, such as ``messages[2].content``, or empty for the whole value. ``problem`` begins
    in lower case, and may quote the value. If an object lacks a field, ``missing`` is its name; if it has a
    field that its type does not have, ``unknown`` is the name of that.
    """

    path: str
    problem: str
    missing: str | None = None
    unknown: str | None = None


def mismatch(error: msgspec.ValidationError) -> Mismatch:
    """Return the parts of one of msgspec's errors."""
    message = str(error)
    at = _AT.search(message)
    path = at["path"] if at else ""
    text = _AT.sub("", message)
    problem = f"{text[:1].lower()}{text[1:]}"
    field = _FIELD.fullmatch(text)
    if field is None:
        return Mismatch(path, problem)
    if field["what"] == "contains unknown":
        return Mismatch(path, problem, unknown=field["field"])
    return Mismatch(path, problem, missing=field["field"])


def joined(base: str, path: str) -> str:
    """Join two paths, either of which may be empty: ``tools[0]`` and ``name`` to ``tools[0].name``."""
    dot = "." if base and path and not path.startswith("[") else ""
    return f"{base}{dot}{path}"
