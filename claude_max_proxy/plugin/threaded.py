"""Calls a hook on a separate thread, so that it may block without delaying anything else.

The hook works on a copy of its request. Its changes only count if it returns in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from claude_max_proxy.concurrency import threads
from claude_max_proxy.request import Request


logger = logging.getLogger(__name__)

HOOKS = frozenset({"map_model", "rewrite_request", "select_backend", "log_request", "configured", "shutdown"})
# How many threads a hook may have, including those that nobody waits for any more. Further calls wait for
# one.
_MOST = 16


class Threaded:
    """Calls one implementation of a hook, ``call``, on threads with the name ``name``."""

    def __init__(self, call: Callable[[dict[str, Any]], Any], name: str) -> None:
        """Prepare; :meth:`run` starts a thread."""
        self._call = call
        self._name = name
        self._free = asyncio.Semaphore(_MOST)

    async def run(self, arguments: dict[str, Any]) -> Any:
        """Call it with ``arguments`` on a thread; return what it returns and raise what it raises."""
        loop = asyncio.get_running_loop()
        await self._free.acquire()
        here: list[int] = []
        ended = threads.start(partial(self._on_thread, dict(arguments), here), self._name)
        ended.add_done_callback(lambda _: self._release(loop))
        try:
            (answer, changed), error = _pair(await asyncio.wrap_future(ended))
        except asyncio.CancelledError:
            self._tell_where(here)
            raise
        if error is not None:
            raise error
        if changed is not None:
            _take_over(arguments["request"], changed)
        return await answer if inspect.isawaitable(answer) else answer

    def _on_thread(self, arguments: dict[str, Any], here: list[int]) -> tuple[Any, Request | None]:
        here.append(threading.get_ident())
        request = arguments.get("request")
        if request is None:
            return self._call(arguments), None

        arguments["request"] = own = _copy(request)
        return self._call(arguments), own

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(self._free.release)

    def _tell_where(self, here: list[int]) -> None:
        """Log where the thread is that nobody waits for any more."""
        frame = sys._current_frames().get(here[0]) if here else None  # noqa: SLF001  # the documented way
        if frame is not None:
            stack = "".join(traceback.format_stack(frame)[-4:]).rstrip()
            logger.warning("%s is not waited for any more; its thread stands at\n%s", self._name, stack)


def _pair(outcome: tuple[Any, BaseException | None]) -> tuple[tuple[Any, Any], BaseException | None]:
    value, error = outcome
    return value or (None, None), error


def _copy(request: Request) -> Request:
    """Return a copy of a request; the values in ``state``, which plugins can set to anything, are shared."""
    state = dict(request.state)
    shared = {id(request.state): state, id(request.client): request.client}
    return copy.deepcopy(request, shared)


def _take_over(request: Request, changed: Request) -> None:
    for name in Request.__struct_fields__:
        if name != "state":
            setattr(request, name, getattr(changed, name))
    request.state.clear()
    request.state.update(changed.state)
