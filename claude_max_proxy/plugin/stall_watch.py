"""Watches an event loop from a separate thread, and reports when something blocks the loop.

It asks the loop for a sign of life twice a second. This is all that it costs; requests are not slowed down.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable


logger = logging.getLogger(__name__)

_EVERY = 0.5
# If the loop stays blocked, this is reported again, each time after this many times as long.
_FACTOR = 10.0

Tell = Callable[[float, "list[traceback.FrameSummary]"], None]


class StallWatch:
    """Calls ``tell(seconds, stack)`` on its own thread when the loop has been blocked for ``after`` seconds.

    The stack is that of the loop's thread at this moment. If the loop stays blocked for much longer, ``tell``
    is called again.
    """

    def __init__(self, tell: Tell, after: float = 1.0) -> None:
        """Prepare; :meth:`start` begins to watch."""
        self._tell = tell
        self._after = after
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to watch the running loop; call this on the loop's thread."""
        arguments = (asyncio.get_running_loop(), threading.get_ident())
        threading.Thread(target=self._watch, args=arguments, name="stall-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop watching; the thread ends by itself."""
        self._ended.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int) -> None:
        while not self._ended.wait(_EVERY):
            alive = threading.Event()
            try:
                loop.call_soon_threadsafe(alive.set)
            except RuntimeError:  # the loop is closed
                return
            self._wait(alive, thread)

    def _wait(self, alive: threading.Event, thread: int) -> None:
        """Wait for the sign of life, and report as long as there is none."""
        began, patience = time.monotonic(), self._after
        while not alive.wait(began + patience - time.monotonic()) and not self._ended.is_set():
            held = time.monotonic() - began
            if held > patience + self._after:  # the whole process was stopped, including this thread
                began, patience = time.monotonic(), self._after
                continue
            frame = sys._current_frames().get(thread)  # noqa: SLF001  # the documented way
            try:
                self._tell(held, list(traceback.extract_stack(frame)) if frame else [])
            except Exception:  # the watch must go on
                logger.exception("what holds up the event loop could not be told")
            patience *= _FACTOR
