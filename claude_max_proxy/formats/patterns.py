"""Patterns of names, in which ``*`` stands for any text."""

from __future__ import annotations


def matches(pattern: str, name: str) -> bool:
    """Return whether ``name`` matches ``pattern``, in which ``*`` stands for any text."""
    return pattern == name or ("*" in pattern and wildcard_text(pattern, name) is not None)


def wildcard_text(pattern: str, name: str) -> str | None:
    """Return the longest text that the first ``*`` of ``pattern`` can stand for, or ``None`` for no match.

    Each piece after it is searched once, from the end; a regular expression would try all possibilities.
    """
    before, *pieces, last = pattern.split("*")
    begin, end = len(before), len(name) - len(last)
    if begin > end or not (name.startswith(before) and name.endswith(last)):
        return None

    for piece in reversed(pieces):
        end = name.rfind(piece, begin, end)
        if end < 0:
            return None
    return name[begin:end]
