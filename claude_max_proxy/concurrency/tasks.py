"""Background tasks that have an owner: they are named, kept alive, and ended with their owner."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from claude_max_proxy.concurrency.endings import described, is_asked_for


logger = logging.getLogger(__name__)

_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENOSPC})
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
# A task that has run for this long, in seconds, since it was last started is considered well.
_WELL_AFTER = 60.0


@dataclass
class _Kept:
    """A permanent task: how often it has ended, with which error, and since when it runs."""

    name: str
    began: float
    failures: int = 0
    last: str = ""

    @property
    def problem(self) -> str:
        """What is wrong with the task; empty if nothing is."""
        if not self.failures or time.monotonic() - self.began > _WELL_AFTER:
            return ""
        times = "once" if self.failures == 1 else f"{self.failures} times"
        return f"it ended {times} and was started again; the last time: {self.last}"


class Tasks:
    """A set of tasks with one owner, who calls :meth:`close`.

    The event loop itself only keeps weak references to tasks, and an exception that nobody awaits is lost.
    Here, each task is kept until it is done, and its failure is logged.
    """

    def __init__(self) -> None:
        """Begin without tasks."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._kept: list[_Kept] = []

    def __len__(self) -> int:
        """Return how many tasks are not done."""
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Any], name: str, *, lasting: bool = False) -> asyncio.Task[Any]:
        """Run ``work`` in the background, in a task called ``name``.

        A ``lasting`` task outlives the request in whose task it may be started, so what it does and logs does
        not belong to that request.
        """
        context = contextvars.Context() if lasting else contextvars.copy_context()
        task = asyncio.get_running_loop().create_task(work, name=name, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._done, context=context)
        return task

    def keep(
        self, work: Callable[[], Coroutine[Any, Any, Any]], name: str, *, pause: float = _SHORTEST_PAUSE
    ) -> asyncio.Task[Any]:
        """Run ``work()`` in the background permanently: whenever it ends or fails, start it again.

        The pause before a new start is ``pause`` seconds, and doubles each time up to a minute; after
        ``work`` has run for a minute, it is ``pause`` again. Only a cancellation ends the task.
        """
        kept = _Kept(name, time.monotonic())
        self._kept.append(kept)
        return self.start(self._keep(kept, work, pause), name, lasting=True)

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong with the permanent tasks, by their names."""
        return {kept.name: kept.problem for kept in self._kept if kept.problem}

    async def finish(self, within: float) -> None:
        """Wait at most ``within`` seconds for all tasks to end, and cancel those that have not."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within)
        await self.close()

    async def close(self, within: float = 5.0) -> None:
        """Cancel all tasks, and wait at most ``within`` seconds for them to end."""
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=within)

    async def _keep(self, kept: _Kept, work: Callable[[], Coroutine[Any, Any, Any]], pause: float) -> None:
        wait = pause
        while True:
            kept.began = time.monotonic()
            error: BaseException | None = None
            try:
                await work()
            except BaseException as raised:
                if is_asked_for(raised):
                    raise
                error = raised
            if time.monotonic() - kept.began > _WELL_AFTER:
                wait = pause
            kept.failures += 1
            kept.last = "it returned" if error is None else described(error)
            logger.error(
                "the task %r ended (%s) and is started again in %g s",
                kept.name,
                kept.last,
                wait,
                exc_info=None if _is_shortage(error) else error,
            )
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_PAUSE)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("the task %r failed", task.get_name(), exc_info=error)


def _is_shortage(error: BaseException | None) -> bool:
    """Return whether the system lacks something, which no line of our code explains."""
    return isinstance(error, OSError) and error.errno in _SHORTAGES
