"""Finds what the CLI cannot pass on unchanged because it reads JSON as JavaScript does. Pure.

In JavaScript every number is a double, so whole numbers beyond 2^53 are rounded. And the members of an object
whose names are whole numbers come before all others, in numerical order. The proxy cannot prevent this, but
it tells the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from claude_max_proxy import Request, ToolCall


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
# Most JSON contains neither; this finds that out faster than looking at each value does.
_SUSPECT = re.compile(rb'[:,\[\s-]\d{16}|"\d+"\s*:|^\d')
_LARGEST_INDEX = 2**32 - 2
_LONGEST_INDEX = len(str(_LARGEST_INDEX))


def inexact(request: Request) -> list[str]:
    """Return what changes in the request's tools, schema and tool calls on the way to the model, by name."""
    found: dict[str, None] = {}
    for index, tool in enumerate(request.tools):
        found |= _named(tool.path or f"tools[{index}]", [tool.parameters, tool.fields])
    found |= _named("response_format", request.response_schema)
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolCall) and _SUSPECT.search(part.arguments.encode()):
                found |= _named("tool_calls", _read(part.arguments))
    return list(found)


def _named(place: str, value: Any) -> dict[str, None]:
    if not _SUSPECT.search(_encode(value)):
        return {}

    return {f"{place}.{change}": None for change in _changes(value)}


def _changes(value: Any) -> Iterator[str]:
    match value:
        case dict():
            if list(value) != sorted(value, key=_rank):
                yield "member_order"
            for inner in value.values():
                yield from _changes(inner)
        case list():
            for inner in value:
                yield from _changes(inner)
        case int() if not isinstance(value, bool) and _rounded(value):
            yield "precision"
        case _:
            pass


def _rank(name: str) -> tuple[int, int]:
    """Return a key to sort members by: those named like an index of an array come first, by number."""
    digits = len(name) <= _LONGEST_INDEX and name.isascii() and name.isdigit()
    index = digits and (name == "0" or name[0] != "0") and int(name) <= _LARGEST_INDEX
    return (0, int(name)) if index else (1, 0)


def _rounded(number: int) -> bool:
    """Return whether JavaScript, which writes the nearest double's shortest digits, changes the number."""
    try:
        return Decimal(repr(float(number))) != number
    except OverflowError:
        return True


def _read(arguments: str) -> Any:
    try:
        return _decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return None
