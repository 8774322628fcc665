"""Where in a ``proxy.toml`` a dotted path stands, for errors that say the line. Pure."""

from __future__ import annotations

import re
import tomllib


_HEADER = re.compile(r"\s*\[\[?(?P<path>[^\]]+)\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"\s*(?P<key>(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"))*)\s*="
)


def line_of(text: str, path: str) -> int | None:
    """Find the line (from 1) that says ``path``, or the nearest table above it; ``None`` if nothing does."""
    wanted = _parts(path)
    best: tuple[int, int] | None = None
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header["path"])
            here = table
        elif key := _KEY.match(line):
            here = table + _parts(key["key"])
        else:
            continue
        depth = len(here)
        if here == wanted[:depth] and (best is None or depth > best[0]):
            best = (depth, number)
    return best[1] if best else None


def _parts(path: str) -> list[str]:
    """Split a dotted path as TOML does, quotes undone; list positions are left out."""
    plain = re.sub(r"\[[^\]\"]*\]", "", path)
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
