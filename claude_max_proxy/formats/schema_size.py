"""Estimates how much work it is to follow a JSON schema: its size with every reference written out. Pure.

A schema of a few lines can refer to itself in more ways than can be tried: two choices, each of which has two
choices, and so on. A recursive reference is counted once, since every value has an end.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote


def written_out(schema: dict[str, Any]) -> int:
    """Return how many schemas and lists ``schema`` would contain if every reference was written out.

    Raises :class:`RecursionError` for a chain of references that is too long to be followed.
    """
    return _Size(schema).of(schema)


class _Size:
    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._known: dict[int, int] = {}

    def of(self, value: Any) -> int:
        """Return the size of one part of the schema."""
        if not isinstance(value, dict | list):
            return 0
        place = id(value)
        if place in self._known:
            return self._known[place]

        self._known[place] = 0  # a recursive reference adds nothing
        inside = value.values() if isinstance(value, dict) else value
        size = 1 + sum(map(self.of, inside))
        if isinstance(value, dict):
            size += sum(self.of(self._target(value.get(name))) for name in ("$ref", "$dynamicRef"))
        self._known[place] = size
        return size

    def _target(self, reference: Any) -> Any:
        """Return what a reference points to, or ``None`` if that is not within the schema."""
        if not (isinstance(reference, str) and reference.startswith("#")):
            return None

        found: Any = self._root
        for step in unquote(reference[1:]).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict):
                found = found.get(name)
            elif isinstance(found, list) and name.isdecimal() and len(name) < 9 and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found
