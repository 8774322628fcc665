"""Finds values in a request that are nested too deeply to be walked. Pure.

These functions are only called after a walk has failed, so they cost ordinary requests nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Request, ToolCall


DEEPEST = 100
_SCANNED = 1_000_000  # bytes
_TOLD = 4  # steps of a path that are shown
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*(:?)|[\[\]{},]', re.DOTALL)


def too_deep(path: str) -> InvalidRequest:
    """Return the error for what is nested too deeply at ``path``; an empty one means the whole body."""
    message = f"{path or 'the body'} is nested too deeply"
    return InvalidRequest(message, param=path or None, code="invalid_json")


def deep_path(request: Request) -> str:
    """Return the path of a value in a request that is nested deeper than 100 levels, or an empty text."""
    return next((path for path, value in _values(request) if is_deep(value)), "")


def is_deep(value: Any) -> bool:
    """Return whether a value that was decoded from JSON is nested deeper than 100 levels."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level for inner in _inside(one) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def deep_place(body: bytes) -> str:
    """Return the path of the first value in JSON that is nested too deeply, or an empty text.

    Only the first megabyte is searched.
    """
    steps: list[str | int] = []
    key = ""
    for token in _TOKEN.finditer(body[:_SCANNED]):
        text = token[0]
        if text in b"{[":
            steps.append("" if text == b"{" else 0)
            if len(steps) > DEEPEST:
                return _path(steps)
        elif text in b"}]":
            del steps[-1:]
        elif text == b",":
            if steps and isinstance(steps[-1], int):
                steps[-1] += 1
        elif token[2] and steps:
            key = token[1][:64].decode(errors="replace")
            steps[-1] = key
    return ""


def _path(steps: list[str | int]) -> str:
    told = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps[:_TOLD])
    return told.removeprefix(".")


def _values(request: Request) -> Iterator[tuple[str, Any]]:
    for index, tool in enumerate(request.tools):
        yield tool.path or f"tools[{index}]", [tool.parameters, tool.fields]
    yield request.response_format.path, request.response_schema
    yield from request.extra.items()
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, ToolCall):
                yield "messages", _read(part.arguments)


def _read(arguments: str) -> Any:
    try:
        return msgspec.json.decode(arguments)
    except RecursionError:
        value: list[Any] = []
        for _ in range(DEEPEST + 1):
            value = [value]
        return value
    except msgspec.DecodeError:
        return None


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
