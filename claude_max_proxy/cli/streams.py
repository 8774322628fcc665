"""Makes standard output and error harmless: their reader may be gone, stuck, or out of space."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TextIO


_PIECE = 4096  # bytes; a pipe that is ready takes this much without waiting
_PATIENCE = 100  # milliseconds for a reader to catch up, before what it does not take is dropped


class Forgiving(io.FileIO):
    """A descriptor to write to; what it does not accept soon is dropped."""

    _stuck = False

    def write(self, data: object) -> int:
        """Write as much as possible, and return as if all of it had been written."""
        whole = memoryview(data).cast("B")  # type: ignore[arg-type]  # anything that contains bytes
        position = 0
        while position < len(whole) and self._ready():
            try:
                position += super().write(whole[position : position + _PIECE]) or 0
            except OSError:
                break
        return len(whole)

    def _ready(self) -> bool:
        if not hasattr(select, "poll"):
            return True

        poll = select.poll()
        poll.register(self.fileno(), select.POLLOUT)
        self._stuck = not poll.poll(0 if self._stuck else _PATIENCE)
        return not self._stuck


def make_forgiving() -> None:
    """Replace standard output and error; if one is closed, no other file can get its number."""
    for number in (0, 1, 2):
        _keep_open(number)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _forgiving(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _forgiving(2, sys.stderr)


def _keep_open(number: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)


def _forgiving(number: int, before: TextIO | None) -> TextIO:
    encoding = before.encoding if before is not None else "utf-8"
    raw = Forgiving(number, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=True)
