"""Makes the process end in time, whatever still runs in it.

A thread that never ends, a task that ignores its cancellation, or code that blocks the event loop would
otherwise keep the process running for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable

from claude_max_proxy.cli.streams import Forgiving
from claude_max_proxy.concurrency import threads


logger = logging.getLogger(__name__)
_WORDS_TIMEOUT = 1.0
# If a loop gives no sign of life for this many seconds, we no longer expect it to end anything.
_HELD_UP = 10.0
_SIGNALLED = 128  # what a shell adds to a signal's number


class Leaving:
    """A deadline for the end of the process, which a separate thread enforces once it is set."""

    def __init__(self, last: Callable[[], None]) -> None:
        """Start the thread; it calls ``last`` before it ends the process by force."""
        self._last = last
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard = 0.0
        self._asked: queue.SimpleQueue[tuple[float, int]] = queue.SimpleQueue()  # safe in a signal's handler
        threading.Thread(target=self._wait, name="leaving", daemon=True).start()

    def listen_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Also watch ``loop``: if something blocks it for too long, the process ends before the deadline."""
        self._loop = loop

    def within(self, seconds: float, status: int) -> None:
        """Set the deadline to ``seconds`` from now; ``status`` is the exit status if the end must be forced.

        The last call counts.
        """
        self._asked.put((time.monotonic() + seconds, status))

    def now(self, number: int) -> None:
        """End the process at once because of the signal ``number``, whatever plugins, threads and clients do.

        The CLI's processes end with it, as they do when the proxy is killed.
        """
        with contextlib.suppress(Exception):
            _write_log()
        # We do not use `sys.stderr`, since the signal may have interrupted a write to it.
        with contextlib.suppress(Exception):
            Forgiving(2, "w", closefd=False).write(b"stopped at once\n")
        with contextlib.suppress(Exception):
            self._last()
        os._exit(_SIGNALLED + number)

    def _wait(self) -> None:
        deadline, status = self._asked.get()
        self._hear()
        while (left := min(deadline, self._heard + _HELD_UP) - time.monotonic()) > 0:
            self._ask()
            with contextlib.suppress(queue.Empty):
                deadline, status = self._asked.get(timeout=min(left, 1.0))
        told = threads.start(_tell, "last-words")  # on a thread, since the log's lock may never be released
        try:
            told.result(_WORDS_TIMEOUT)
            self._last()
        except (TimeoutError, OSError):
            pass
        os._exit(status)

    def _ask(self) -> None:
        """Ask the loop for a sign of life; a closed loop, as at the end, need not give one."""
        try:
            if self._loop is None:
                self._hear()
            else:
                self._loop.call_soon_threadsafe(self._hear)
        except RuntimeError:
            self._hear()

    def _hear(self) -> None:
        self._heard = time.monotonic()


def _tell() -> None:
    """Log what keeps the process from ending."""
    main = threading.main_thread()
    waiting = [one.name for one in threading.enumerate() if not one.daemon and one is not main]
    if waiting:
        logger.error("exiting without waiting for threads that do not end: %s", ", ".join(waiting))
    else:
        frame = sys._current_frames().get(main.ident or 0)  # noqa: SLF001  # the documented way
        stack = "".join(traceback.format_stack(frame)[-6:]).rstrip() if frame else ""
        logger.error("exiting because something does not end; the main thread is at\n%s", stack)
    _write_log()
    sys.stdout.flush()
    sys.stderr.flush()


def _write_log() -> None:
    """Write the lines of the log that wait for it."""
    for handler in logging.getLogger().handlers:
        handler.flush()
