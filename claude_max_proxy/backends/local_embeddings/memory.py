"""Gives memory back to the system: the C library keeps what was freed, which after a model can be 300 MB."""

from __future__ import annotations

import contextlib
import ctypes


def give_back() -> None:
    """Let the C library return what it does not use, which takes some milliseconds. Only glibc can do it."""
    # Windows has no library without a name, which is a TypeError there.
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
