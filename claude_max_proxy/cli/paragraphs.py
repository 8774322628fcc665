"""Wraps paragraphs to a width, for a terminal or a file; code in backticks stays on one line. Pure."""

from __future__ import annotations

import re
import textwrap


_CODE = re.compile(r"`[^`]*`")
_KEPT = "\N{NO-BREAK SPACE}"  # textwrap never breaks a line at this character


def wrapped(text: str, width: int, first: str = "", then: str | None = None) -> str:
    """Return ``text`` as lines of at most ``width`` characters, each of which ends with a line end.

    The first line begins with ``first``, the others with ``then`` or, if that is ``None``, also with
    ``first``. Code that is longer than a line still stays on one line.
    """
    lines = textwrap.wrap(
        _CODE.sub(lambda code: code[0].replace(" ", _KEPT), text),
        width,
        initial_indent=first,
        subsequent_indent=first if then is None else then,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "".join(f"{line}\n" for line in lines).replace(_KEPT, " ")
