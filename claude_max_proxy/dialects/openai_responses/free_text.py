"""Puts the free text of a custom tool into the JSON of a function with one string, and takes it out. Pure."""

from __future__ import annotations

import re

import msgspec


INPUT = "input"
_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
# Whole characters and whole escape sequences, up to the end of the string or of what has arrived.
_WHOLE = re.compile(r'(?:[^"\\]+|\\(?:u[0-9a-fA-F]{4}|[^u]))*')
_LONGEST_HEAD = 1000  # characters, most of which can only be white space
_HALF_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")


def wrapped(text: str) -> str:
    """Return a free text as the arguments of a function."""
    return msgspec.json.encode({INPUT: text}).decode()


class Unwrapping:
    """Takes a function's arguments in fragments, and returns the free text in them as soon as possible.

    Arguments that do not have the expected form are treated as the text itself.
    """

    def __init__(self) -> None:
        """Prepare for the first fragment."""
        self._raw: list[str] = []
        self._pending = ""
        self._given: list[str] = []
        self._inside = False
        self._lost = False

    def feed(self, fragment: str) -> str:
        """Take a fragment, and return the text that it adds, which may be empty."""
        self._raw.append(fragment)
        if self._lost:
            return ""
        self._pending += fragment
        if not self._inside:
            head = _HEAD.match(self._pending)
            if head is None:
                self._lost = len(self._pending) > _LONGEST_HEAD
                return ""
            self._inside, self._pending = True, self._pending[head.end() :]
        return self._more()

    def end(self) -> tuple[str, str]:
        """Return the text that is still missing, and the whole text."""
        given = "".join(self._given)
        whole = _text_of("".join(self._raw), given)
        rest = whole.removeprefix(given) if whole.startswith(given) else ""
        return rest, given + rest

    def _more(self) -> str:
        whole = _WHOLE.match(self._pending)
        piece = whole[0] if whole else ""
        piece = _HALF_PAIR.sub("", piece)
        if not piece:
            return ""

        try:
            text = msgspec.json.decode(f'"{piece}"', type=str)
        except msgspec.DecodeError:
            self._lost = True
            return ""
        self._pending = self._pending[len(piece) :]
        self._given.append(text)
        return text


def _text_of(arguments: str, given: str) -> str:
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return given or arguments

    text = value.get(INPUT) if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments
