"""Calls one plugin's implementation of one hook, within its time limit, and logs its failures by its name.

With ten plugins, a request passes about fifty of these, so calling one that does nothing must cost very
little.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Generator
from types import ModuleType
from typing import Any

from claude_max_proxy.concurrency.bounded import Outcome, attempt
from claude_max_proxy.concurrency.endings import described
from claude_max_proxy.errors import InternalError, ProxyError
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.plugin.threaded import HOOKS, Threaded


logger = logging.getLogger(__name__)
# These hooks cannot change an answer, so what they raise must not change it either.
_ANNOUNCEMENTS = frozenset({"configured", "log_request", "shutdown"})
# If this many calls have never ended, no further call is started.
_MOST_ABANDONED = 16


class Implementation:
    """A function of a plugin that implements ``hook`` and takes the arguments with these ``names``."""

    def __init__(
        self, plugin: Plugin, hook: str, function: Callable[..., Any], names: tuple[str, ...]
    ) -> None:
        """Remember the function, and whose it is."""
        self.plugin = plugin
        self._hook = hook
        self._function = function
        self._names = names
        self._decides = hook not in _ANNOUNCEMENTS
        self._abandoned: set[asyncio.Task[Outcome]] = set()
        self._threaded: Threaded | None = None
        if plugin.policy.thread and hook in HOOKS and not inspect.iscoroutinefunction(function):
            self._threaded = Threaded(self.call, f"plugin-{plugin.name}-{hook}")

    @property
    def waits(self) -> bool:
        """Whether the event loop does other things while it is called."""
        return self._threaded is not None or inspect.iscoroutinefunction(self._function)

    def call(self, arguments: dict[str, Any]) -> Any:
        """Call the function with the plugin's own settings; raise what it raises."""
        arguments["settings"] = self.plugin.settings
        return self._function(*[arguments[name] for name in self._names])

    def begin(self, arguments: dict[str, Any], task: asyncio.Task[Any]) -> Any:
        """Call the function in the current ``task``.

        Returns its answer, or an awaitable for :meth:`finish`, or ``None`` if it has failed. Raises
        :class:`ProxyError` if the failure ends the request, and nothing else.
        """
        if self._threaded is not None:
            return self._threaded.run(arguments)

        cancelled = task.cancelling()
        began = time.monotonic()
        try:
            answer = self.call(arguments)
        except BaseException as error:  # whatever a plugin raises, the other plugins must still be called
            if task.cancelling() > cancelled:
                return _SelfCancelled(task, cancelled, None, error)
            return self.fail(error)
        if task.cancelling() > cancelled:
            return _SelfCancelled(task, cancelled, answer, None)
        if time.monotonic() - began > self.plugin.policy.timeout:
            logger.warning(
                "plugin %r held everything up in %s: make it async, or set thread = true in [plugins.%s]",
                *(self.plugin.name, self._hook, self.plugin.name),
            )
        return answer

    async def finish(self, answer: Awaitable[Any]) -> Any:
        """Wait for the answer of an ``async`` implementation, at most for its plugin's time limit.

        If it does not end when its time is up, nobody waits for it any more. Raises :class:`ProxyError` if
        the failure ends the request, and ``CancelledError`` if the caller is cancelled.
        """
        if isinstance(answer, _SelfCancelled):
            return self.fail(await answer)
        value, error = await self._attempt(answer)
        return value if error is None else self.fail(error)

    async def close(self, iterator: Any) -> None:
        """Close an asynchronous generator of the plugin so that it can clean up; only log a failure."""
        _, error = await self._attempt(iterator.aclose())
        if error is not None:
            self._tell(error)

    def fail(self, error: BaseException, *, fatal: bool = False) -> None:
        """Count and log a failure. Raises :class:`ProxyError` if it ends the request."""
        if self._decides and isinstance(error, ProxyError):
            raise error
        self._tell(error)
        if fatal or (self._decides and self.plugin.policy.on_error == "fail"):
            message = f"the plugin {self.plugin.name!r} failed in {self._hook}"
            raise InternalError(message, code="plugin_failed") from error

    async def _attempt(self, work: Awaitable[Any]) -> Outcome:
        if len(self._abandoned) >= _MOST_ABANDONED:
            if inspect.iscoroutine(work):
                work.close()
            return None, RuntimeError(f"{len(self._abandoned)} calls of it never ended, so it is not called")
        name = f"plugin-{self.plugin.name}-{self._hook}"
        return await attempt(work, self.plugin.policy.timeout, name, self._abandon)

    def _abandon(self, task: asyncio.Task[Outcome]) -> None:
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
        logger.error("plugin %r ignores its cancellation in %s: abandoned", self.plugin.name, self._hook)

    def _tell(self, error: BaseException) -> None:
        plugin = self.plugin
        plugin.failures += 1
        frames = "".join(traceback.format_list(_own_frames(plugin.module, error)))
        told = f"plugin {plugin.name!r} failed in {self._hook}: {described(error)}\n{frames}"
        logger.error("%s", told.rstrip())


def current_task() -> asyncio.Task[Any]:
    """Return the current task."""
    task = asyncio.current_task()
    assert task is not None  # hooks are called in coroutines
    return task


class _SelfCancelled:
    """The outcome of a call that has cancelled the task in which it was called.

    Awaiting it in that task takes the cancellation back, unless somebody else has also asked for one, and
    returns the failure.
    """

    def __init__(
        self, task: asyncio.Task[Any], cancelled: int, answer: Any, failure: BaseException | None
    ) -> None:
        self._task = task
        self._cancelled = cancelled
        self._failure = failure or RuntimeError("it cancelled the task of the request that called it")
        if inspect.iscoroutine(answer):
            answer.close()

    def __await__(self) -> Generator[Any, None, BaseException]:
        return self._take_back().__await__()

    async def _take_back(self) -> BaseException:
        own = self._task.cancelling() - self._cancelled
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        for _ in range(own):
            self._task.uncancel()
        if self._task.cancelling() > self._cancelled:
            raise asyncio.CancelledError
        return self._failure


def _own_frames(module: ModuleType, error: BaseException) -> list[traceback.FrameSummary]:
    path = getattr(module, "__file__", None)
    for raised in (error, error.__cause__):  # the cause of a timeout shows where the plugin waited
        frames = traceback.extract_tb(raised.__traceback__) if raised else []
        own = [index for index, frame in enumerate(frames) if frame.filename == path]
        if own:
            return list(frames[own[0] :])
    return list(traceback.extract_tb(error.__traceback__))
