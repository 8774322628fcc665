"""Formats the lines of the log: whatever others wrote in a message, it stays one line of plain text."""

from __future__ import annotations

import copy
import logging
import os
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import IO

from claude_max_proxy import request_id
from claude_max_proxy.formats.quoting import plain, plain_lines


LONGEST = 8000  # characters
# A message that shows where a program is ends with this: frames of code, each on its own lines.
_FRAMES = "\n%s"
_COLOURS = {logging.DEBUG: "2", logging.WARNING: "33", logging.ERROR: "31", logging.CRITICAL: "1;31"}


class TextFormatter(logging.Formatter):
    """Writes the time, the level, the message, and before it the request's id in brackets, if there is one.

    It escapes what is not printable and cuts what is too long; tracebacks keep their lines. With ``colour``,
    the level has a colour if it is not the usual one.
    """

    def __init__(self, time: str = "%H:%M:%S", *, colour: bool = False, replica: str = "") -> None:
        """Write times in the form ``time``; ``replica`` is the name of this proxy, for the brackets."""
        super().__init__(datefmt=time)
        self._colour = colour
        self._newest: tuple[int, str] = (0, "")
        self._replica = f" {replica}" if replica else ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record, and further ones for a traceback."""
        if record.exc_text:  # another handler has left its own form of the traceback, which is not made plain
            record = copy.copy(record)
            record.exc_text = None
        return super().format(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # logging's name
        """Return a record's time, which many lines have in common."""
        second, text = self._newest
        if second != int(record.created):
            text = super().formatTime(record, datefmt)
            self._newest = int(record.created), text
        return text

    def usesTime(self) -> bool:  # noqa: N802  # logging's name
        """Return that a line has the time."""
        return True

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Return the line for a message."""
        line, frames = record.message, ""
        if record.args and isinstance(record.args, tuple) and str(record.msg).endswith(_FRAMES):
            frames = f"\n{record.args[-1]}"
            line = line.removesuffix(frames)
        if len(line) > LONGEST:
            line = f"{line[:LONGEST]}…"
        name = getattr(record, "request_id", "") or request_id.current()
        line = plain(f"[{name}{self._replica}] {line}" if name else line)
        line = f"{record.asctime} {self._level(record)} {line}"
        return f"{line}\n{_cut_lines(frames[1:])}" if frames else line

    def formatException(  # noqa: N802  # logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None],
    ) -> str:
        """Return a traceback, made plain."""
        return _cut_lines(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  # logging's name
        """Return a stack, made plain."""
        return _cut_lines(super().formatStack(stack_info))

    def _level(self, record: logging.LogRecord) -> str:
        level = f"{plain(record.levelname):<7}"
        colour = _COLOURS.get(record.levelno) if self._colour else None
        return f"\x1b[{colour}m{level}\x1b[0m" if colour else level


def shows_colour(stream: IO[str], environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether to write colours: only to a terminal that has them, and not if ``NO_COLOR`` is set."""
    if environment.get("NO_COLOR") or environment.get("TERM") == "dumb" or sys.platform == "win32":
        return False
    return stream.isatty()


def _cut_lines(text: str) -> str:
    """Indent each line so that it does not look like a record: an exception's text may have many lines."""
    return plain_lines("\n".join(f"  {line[:LONGEST]}" for line in text.split("\n")))
