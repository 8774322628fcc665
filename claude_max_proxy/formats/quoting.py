"""Puts what others wrote into a form that an error, a log or a terminal can show safely. Pure."""

from __future__ import annotations

import reprlib


_SHOWN = 80  # characters
_values = reprlib.Repr()
_values.maxstring = _values.maxother = _values.maxlong = _SHOWN


def shown(value: object) -> str:
    """Return a text or any other value in Python's notation, on one line and cut if it is long."""
    if not isinstance(value, str):
        return _values.repr(value)

    return repr(value) if len(value) <= _SHOWN else f"{value[:_SHOWN]!r}…"


def listed(values: list[str], most: int = 10) -> str:
    """Return the first ``most`` of these texts, quoted, and the number of the others."""
    told = ", ".join(map(shown, values[:most]))
    return f"{told} and {len(values) - most} more" if len(values) > most else told


def plain(text: str) -> str:
    """Return a text as one line of printable characters; all others become escape sequences.

    The writer of a text must not be able to end a line, move a terminal's cursor or change the direction of
    writing.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def plain_lines(text: str) -> str:
    """Return a text of several lines, each of them made :func:`plain`."""
    return "\n".join(map(plain, text.split("\n")))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
