"""Distinguishes an end that somebody asked for from a failure of the code that was called.

A task is told to end by ``CancelledError``, and a generator by ``GeneratorExit``. But code that is not ours
may also raise these by itself, or ``SystemExit``; then it has failed, as with any other exception.
"""

from __future__ import annotations

import asyncio


_LONGEST = 2_000  # characters


def is_asked_for(error: BaseException, *, yielding: bool = True) -> bool:
    """Return whether ``error`` must be raised on: the current task was cancelled, or the generator is closed.

    ``yielding`` says whether the generator that caught ``error`` was at a ``yield``, the only place where it
    can be closed.
    """
    if isinstance(error, GeneratorExit):
        return yielding
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return False


def described(error: BaseException) -> str:
    """Return an error in Python's notation, cut if it is very long; this works even if its ``repr`` fails."""
    try:
        text = repr(error)
    except BaseException:
        return f"{type(error).__name__}, whose description fails"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
