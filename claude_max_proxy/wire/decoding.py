"""JSON bodies into typed structs; what does not fit is refused with the path of the first wrong field."""

from __future__ import annotations

import copy
import re
from typing import Any, TypeVar

import msgspec

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.wire.unknown import drop_unknown


T = TypeVar("T")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")
_UNKNOWN = "Object contains unknown field"


def decode(decoder: msgspec.json.Decoder[T], body: bytes, unknown: list[str] | None = None) -> T:
    """Decode a body; raise :class:`InvalidRequest` for what is no JSON or not of the decoder's type.

    With ``unknown``, fields that a :class:`~claude_max_proxy.wire.Schema` does not know are left out, and
    named there.
    """
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            if unknown is None or _UNKNOWN not in str(error):
                raise
            value = msgspec.json.decode(body)
            drop_unknown(value, decoder.type, unknown)
            return msgspec.convert(value, decoder.type)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), "") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}", code="invalid_json") from error
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply", code="invalid_json") from error


def convert(value: Any, type_: type[T], path: str, unknown: list[str] | None = None) -> T:
    """Convert what was decoded already and stands at ``path``; raise :class:`InvalidRequest` likewise."""
    try:
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            if unknown is None or _UNKNOWN not in str(error):
                raise
            value = copy.deepcopy(value)  # which is the client's own, and may be kept
            drop_unknown(value, type_, unknown, path)
            return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), path) from error


def _refusal(message: str, base: str) -> InvalidRequest:
    """Say what is wrong and where, from what msgspec says of it."""
    at = _AT.search(message)
    path = _joined(base, at["path"] if at else "")
    text = _AT.sub("", message)
    if missing := _MISSING.fullmatch(text):
        path = _joined(path, missing["field"])
        return InvalidRequest(f"{path} is missing", param=path)

    return InvalidRequest(f"{path or 'the body'}: {text[0].lower()}{text[1:]}", param=path or None)


def _joined(base: str, path: str) -> str:
    dot = "." if base and path and not path.startswith("[") else ""
    return f"{base}{dot}{path}"
