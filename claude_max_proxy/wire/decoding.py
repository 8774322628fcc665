"""JSON bodies into typed structs; what does not fit is refused with the path of the first wrong field."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from claude_max_proxy.errors import InvalidRequest


T = TypeVar("T")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]*)`")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body; raise :class:`InvalidRequest` for what is no JSON or not of the decoder's type."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), "") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}", code="invalid_json") from error
    except RecursionError as error:
        raise InvalidRequest("the body is nested too deeply", code="invalid_json") from error


def convert(value: Any, type_: type[T], path: str) -> T:
    """Convert what was decoded already and stands at ``path``; raise :class:`InvalidRequest` likewise."""
    try:
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
