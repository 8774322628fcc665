"""A time limit for each of many waits, such as those for the pieces of a stream."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """Limits waits that follow each other: ``with deadline: await …`` raises :class:`TimeoutError`.

    It does what ``asyncio.timeout`` does, for code that waits thousands of times: it has one timer, which is
    only moved when it fires. A new timer for each piece of a stream would cost a quarter of what the piece
    costs.
    """

    def __init__(self, seconds: float) -> None:
        """Limit each wait to this many seconds."""
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._due = 0.0
        self._cancelling = 0
        self._expired = False

    def __enter__(self) -> None:
        """Begin a wait; this must happen in a task."""
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        assert self._task is not None, "only a task can wait"
        self._cancelling = self._task.cancelling()
        self._due = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(self._due, self._check, loop)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the wait; raise :class:`TimeoutError` if the limit, and nobody else, has cancelled the task."""
        task, self._task = self._task, None
        if self._expired and task is not None:
            self._expired = False
            if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def close(self) -> None:
        """Cancel the timer; call this after the last wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._task is None:
            return
        if loop.time() < self._due:
            self._timer = loop.call_at(self._due, self._check, loop)
        else:
            self._expired = True
            self._task.cancel()
