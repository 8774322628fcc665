"""Recognises paths which show that a client's base URL is too long, and says what it should be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec


_LONGEST = 500
_PARAMETER = re.compile(r"\{\w+(:\w+)?\}")


class Misplaced(msgspec.Struct, frozen=True):
    """A path with a base URL that is too long: it is ``base + route``, and ``base`` should be ``right``."""

    base: str
    route: str
    right: str

    def told(self, path: str) -> str:
        """Return a message that says what is wrong with ``path``, and what to do."""
        right = f"ends in {self.right!r}" if self.right else "has no path at all"
        return (
            f"there is no route {path}: the base URL is too long; the client adds {self.route!r} to it by "
            f"itself, so set one that {right} instead of {self.base!r}"
        )


class Routes:
    """The paths of all routes; they may contain parameters such as ``{id}`` or ``{name:path}``."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Take the paths of the routes."""
        paths = set(paths)
        self._plain = {path for path in paths if "{" not in path}
        self._patterns = [re.compile(_pattern(path)) for path in paths - self._plain]
        self._beginnings = {start for path in self._plain for start in _starts(path)} | {"/v1"}

    def misplaced(self, path: str) -> Misplaced | None:
        """Return which route was meant if the base URL of ``path`` is too long, otherwise ``None``."""
        if len(path) > _LONGEST or self._served(path):
            return None

        for place in (match.start() for match in re.finditer("/", path[1:])):
            base, route = path[: place + 1], path[place + 1 :]
            if self._served(route) and self._is_base(base):
                return Misplaced(base, route, "/v1" if self._served(f"/v1{route}") else "")
        return None

    def _served(self, path: str) -> bool:
        return path in self._plain or any(pattern.fullmatch(path) for pattern in self._patterns)

    def _is_base(self, path: str) -> bool:
        """Return whether a path consists of beginnings of routes; otherwise it belongs to another API."""
        ends = {0}
        for end in [*(match.start() for match in re.finditer("/", path[1:] + "/"))]:
            if any(path[begin : end + 1] in self._beginnings for begin in ends):
                ends.add(end + 1)
        return len(path) in ends


def _starts(path: str) -> Iterator[str]:
    """Yield the path, and every beginning of it that ends before a slash."""
    while path:
        yield path
        path = path.rpartition("/")[0]


def _pattern(path: str) -> str:
    """Return a regular expression for a path with parameters."""
    plain = _PARAMETER.split(path)
    kinds = [match[1] for match in _PARAMETER.finditer(path)]
    del plain[1::2]
    pieces = [re.escape(plain[0])]
    for kind, text in zip(kinds, plain[1:], strict=True):
        pieces += [".+" if kind == ":path" else "[^/]+", re.escape(text)]
    return "".join(pieces)
