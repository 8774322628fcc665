"""Decodes JSON bodies into typed structs; what does not fit is refused with the path of the wrong field."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.formats.mismatch import joined, mismatch
from claude_max_proxy.formats.nesting import deep_place, too_deep
from claude_max_proxy.formats.unknown_fields import without_unknown


T = TypeVar("T")
_LONGEST_PROBLEM = 300
_QUOTE = " '"  # what the client wrote begins after this


def decode(decoder: msgspec.json.Decoder[T], body: bytes, unknown: list[str] | None = None) -> T:
    """Decode a body. Raises :class:`InvalidRequest` if it is not JSON or not of the decoder's type.

    With a list ``unknown``, fields that a :class:`~claude_max_proxy.formats.Schema` does not know are left
    out, and their names are appended to the list.
    """
    try:
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            if unknown is None or mismatch(error).unknown is None:
                raise
            value = without_unknown(msgspec.json.decode(body), decoder.type, unknown)
            converted: T = msgspec.convert(value, decoder.type)
            return converted
    except msgspec.ValidationError as error:
        raise _refusal(error, "") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}", code="invalid_json") from error
    except RecursionError as error:
        raise too_deep(deep_place(body)) from error


def convert(value: Any, type_: type[T], path: str, unknown: list[str] | None = None) -> T:
    """Convert a value at ``path`` that is decoded already; otherwise this is like :func:`decode`."""
    try:
        try:
            return msgspec.convert(value, type_)
        except msgspec.ValidationError as error:
            if unknown is None or mismatch(error).unknown is None:
                raise
            return msgspec.convert(without_unknown(value, type_, unknown, path), type_)
    except msgspec.ValidationError as error:
        raise _refusal(error, path) from error
    except RecursionError as error:
        raise too_deep(path) from error


def _refusal(error: msgspec.ValidationError, base: str) -> InvalidRequest:
    """Return the error for a message of msgspec's, with the path of what is wrong."""
    path, problem, missing, _ = mismatch(error)
    path = joined(base, path)
    if missing is not None:
        path = joined(path, missing)
        return InvalidRequest.missing(path)

    if len(problem) > _LONGEST_PROBLEM:
        problem = f"{problem[:_LONGEST_PROBLEM]}…"  # it may quote the client
    message = f"{path or 'the body'}: {problem}"
    return InvalidRequest(message, param=path or None, logged=message.partition(_QUOTE)[0])
