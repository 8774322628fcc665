"""Finds out whether the arguments of a call are complete while they arrive in fragments. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec


_MARKS = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)


class Arguments(msgspec.Struct):
    """The state of reading a call's arguments.

    Each fragment is looked at once to count brackets. All of them are decoded together once the brackets are
    balanced.
    """

    seen: int = 0
    depth: int = 0
    inside: bool = False  # inside a string
    escaped: bool = False
    begun: bool = False
    closed: bool = False
    whole: bool = False

    def complete(self, fragments: Sequence[str]) -> bool:
        """Return whether all fragments so far are a JSON object; each call must have the earlier ones too."""
        while self.seen < len(fragments):
            self._look(fragments[self.seen])
            self.seen += 1
        if self.begun and not self.depth and not self.closed:
            self.closed = True  # if it is no object now, nothing that follows can make it one
            self.whole = _is_object("".join(fragments))
        return self.whole

    def _look(self, fragment: str) -> None:
        if self.closed and fragment.strip():
            self.whole = False
        start = 1 if self.escaped and fragment else 0
        self.escaped = self.escaped and not fragment
        for match in _MARKS.finditer(fragment, start):
            mark = match[0]
            if mark[0] == "\\":
                self.escaped = self.inside and len(mark) == 1
            elif mark == '"':
                self.inside = not self.inside
            elif not self.inside:
                self.begun = True
                self.depth += 1 if mark in "{[" else -1


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return False
