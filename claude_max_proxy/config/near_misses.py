"""Suggests which known name somebody may have meant by an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


_LONGEST_NAME = 256  # characters
_MOST_TOLD = 50


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'port'?"`` if a known name is close, otherwise a list of the known names."""
    known = list(known)
    close = closest(name, known)
    if close is not None:
        return f"; did you mean {close!r}?"

    return f"; known here: {_some(sorted(known))}" if known else ""


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is closest to ``name``, or ``None`` if none of them is close.

    A text that is too long to be a misspelt name is not compared, since that would take time.
    """
    close = difflib.get_close_matches(name, list(known), n=1) if len(name) <= _LONGEST_NAME else []
    return close[0] if close else None


def _some(names: list[str]) -> str:
    told = ", ".join(names[:_MOST_TOLD])
    return f"{told} and {len(names) - _MOST_TOLD} more" if len(names) > _MOST_TOLD else told
