"""Awaits a coroutine that is not ours for a limited time, whatever it does or raises."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from typing import Any


GRACE = 1.0
Outcome = tuple[Any, BaseException | None]


class Abandoned(TimeoutError):
    """It took too long, and did not end when it was cancelled either."""


async def attempt(
    work: Awaitable[Any],
    seconds: float,
    name: str,
    on_abandoned: Callable[[asyncio.Task[Outcome]], None] = lambda _: None,
) -> Outcome:
    """Await ``work`` in a task called ``name``, for ``seconds`` at most; return its value and its error.

    Nothing that ``work`` raises is raised here, not even ``SystemExit``, or a ``CancelledError`` that it
    raises by itself. If it takes too long, it is cancelled, and the error is a ``TimeoutError`` whose cause
    shows where it waited. If it ignores the cancellation for :data:`GRACE` seconds, the error is
    :class:`Abandoned`, and ``on_abandoned`` is called with the task, for which nobody waits any more. If the
    caller is cancelled, ``work`` is cancelled too, with the same time to end.
    """
    context = _context()
    task = asyncio.get_running_loop().create_task(_caught(work), name=name, context=context)
    try:
        await asyncio.sleep(0)  # most coroutines end at once, and then we need no timer
        if not task.done():
            await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await _end(task, work, on_abandoned)
        raise
    except BaseException:  # the caller, a generator, is being closed and must not wait
        task.cancel()
        raise
    if task.done():
        return _outcome(task)

    await _end(task, work, on_abandoned)
    if not task.done():
        return None, Abandoned(
            f"it took longer than {seconds:g} s, ignored its cancellation and was abandoned"
        )
    late = TimeoutError(f"it took longer than {seconds:g} s")
    late.__cause__ = _outcome(task)[1]
    return None, late


def _context() -> contextvars.Context:
    """Return the caller's context if Python can tell it (since 3.12), otherwise a copy.

    A context variable that is set in the caller's context can be reset in it later.
    """
    get = getattr(asyncio.current_task(), "get_context", contextvars.copy_context)
    context: contextvars.Context = get()
    return context


async def _caught(work: Awaitable[Any]) -> Outcome:
    """Return the value and the error, so that no exception can end the task or the event loop."""
    try:
        return await work, None
    except BaseException as error:
        return None, error


async def _end(
    task: asyncio.Task[Outcome],
    work: Awaitable[Any],
    on_abandoned: Callable[[asyncio.Task[Outcome]], None],
) -> None:
    task.cancel()
    try:
        await asyncio.wait({task}, timeout=GRACE)
    finally:
        if not task.done():
            on_abandoned(task)
        elif inspect.iscoroutine(work):
            work.close()  # it may never have started, and Python would warn about that


def _outcome(task: asyncio.Task[Outcome]) -> Outcome:
    """Return the outcome of a task that is done; one that cancelled itself in its last step has no result."""
    if task.cancelled():
        return None, asyncio.CancelledError()
    return task.result()
