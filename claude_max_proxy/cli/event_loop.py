"""Runs the event loop of the server until the server itself has ended.

Any callback can stop a loop, by ``loop.stop()`` or by raising ``SystemExit`` or ``KeyboardInterrupt``, even
one that belongs to a plugin. But a plugin must not end the server, so the loop goes on, and the log says who
stopped it.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from claude_max_proxy.concurrency.endings import described


logger = logging.getLogger(__name__)


def run_to_its_end(
    main: Coroutine[Any, Any, None],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
    on_end: Callable[[], None],
) -> None:
    """Run ``main`` and raise what it raises; then call ``on_end``, and close the loop with what is left.

    As long as ``main`` has not set a handler for it, Ctrl-C ends it.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        stops = _noted(loop)
        task = loop.create_task(main, name="server")
        try:
            while not task.done():
                _run(loop, task, stops)
            task.result()
        finally:
            on_end()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], stops: list[str]) -> None:
    """Run the loop until ``task`` is done or somebody stops the loop."""
    stops.clear()
    try:
        loop.run_until_complete(task)
    except BaseException as error:
        ours = isinstance(error, KeyboardInterrupt) and (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if task.done():
            return
        if ours:
            raise
        if stops:
            logger.error("something stopped the event loop; it continues. It was stopped at\n%s", stops[-1])
        else:
            what = described(error)
            logger.error("something tried to end the proxy, which continues: %s", what, exc_info=error)


def _noted(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Return a list to which is added where the loop is stopped."""
    stops: list[str] = []
    stop = loop.stop

    def noting() -> None:
        stops[:] = ["".join(traceback.format_stack(limit=4)[:-1]).rstrip()]
        stop()

    loop.stop = noting  # type: ignore[method-assign]  # only as long as we run this loop
    return stops
