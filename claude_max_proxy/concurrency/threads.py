"""Runs functions that may take long, or never end, on threads; neither event loop nor process waits for them.

The standard library's executors wait for their threads when the process ends; this module does not.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar


T = TypeVar("T")
Ended = Future[tuple[Any, BaseException | None]]


class StillRunning(TimeoutError):
    """It took too long; its thread goes on, but nobody waits for it."""


def start(work: Callable[[], Any], name: str) -> Ended:
    """Run ``work`` on a daemon thread called ``name``; the future's result is a pair of value and error.

    The future itself never fails, so nothing that ``work`` raises can be mistaken for an exception that is
    meant for the caller.
    """
    ended: Ended = Future()
    ended.set_running_or_notify_cancel()  # from now on, cancelling the future has no effect

    def run() -> None:
        try:
            value, error = work(), None
        except BaseException as raised:
            value, error = None, raised
        ended.set_result((value, error))

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name=name, daemon=True).start()
    return ended


def within(seconds: float, work: Callable[[], Any], name: str) -> tuple[Any, BaseException | None]:
    """Run ``work`` on a thread and block until it ends; return its value and its error.

    What it raises is only returned; an exception that is raised here, such as ``KeyboardInterrupt``, is meant
    for the caller. If it takes longer than ``seconds``, the error is :class:`StillRunning`.
    """
    ended = start(work, name)
    try:
        return ended.result(seconds)
    except TimeoutError:
        return None, StillRunning(f"it took longer than {seconds:g} s")


async def run(work: Callable[[], T], name: str) -> T:
    """Run ``work`` on a thread and await it; return what it returns and raise what it raises.

    If the caller is cancelled, the thread goes on, and its result is lost.
    """
    value, error = await asyncio.wrap_future(start(work, name))
    if error is not None:
        raise error
    result: T = value
    return result
