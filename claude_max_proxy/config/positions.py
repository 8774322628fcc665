"""Finds the line of a dotted path in ``proxy.toml``, for error messages. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping


_HEADER = re.compile(r"\s*\[\[?(?P<path>[^\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"\s*(?P<key>(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"))*)\s*="
)
_PLAIN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
# A comment, a text of several lines, or one of one line.
_TOKEN = re.compile(
    r"#[^\n]*|\"{3}(?:\\.|[^\\])*?\"{3}|'{3}.*?'{3}|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'", re.DOTALL
)


Lines = Mapping[tuple[str, ...], int]


def line_of(lines: Lines, path: str) -> int | None:
    """Return the number of the line with ``path``, or with the nearest table above it, or ``None``."""
    wanted = tuple(_parts(path))
    for depth in range(len(wanted), 0, -1):
        if (line := lines.get(wanted[:depth])) is not None:
            return line
    return None


def lines_of(text: str) -> Lines:
    """Return the line on which each key and table of a TOML text is; the first line has the number 1."""
    lines: dict[tuple[str, ...], int] = {}
    table: list[str] = []
    for number, line in enumerate(_without_long_texts(text).split("\n"), start=1):
        if header := _HEADER.match(line):
            here = table = _parts(header["path"])
        elif key := _KEY.match(line):
            here = table + _parts(key["key"])
        else:
            continue
        lines.setdefault(tuple(here), number)
    return lines


def _without_long_texts(text: str) -> str:
    """Return as many lines, of which none is the middle of a text."""

    def blank(found: re.Match[str]) -> str:
        token = found[0]
        return '""' + "\n" * token.count("\n") if token.startswith(('"""', "'''")) else token

    return _TOKEN.sub(blank, text)


def _parts(path: str) -> list[str]:
    """Split a dotted path as TOML does, and return the parts without quotes and without list indexes."""
    plain = re.sub(r"\[[^\]\"]*\]", "", path)
    if _PLAIN.fullmatch(plain):
        return plain.split(".")
    try:
        table = tomllib.loads(f"{plain} = 0")
    except tomllib.TOMLDecodeError:
        return plain.split(".")
    parts = []
    value: object = table
    while isinstance(value, dict):
        key, value = next(iter(value.items()))
        parts.append(key)
    return parts
