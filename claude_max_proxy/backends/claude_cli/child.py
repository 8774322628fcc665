"""What a child process does before it executes another program, so that it cannot outlive the proxy.

For Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable

from claude_max_proxy.backends.claude_cli import keeper
from claude_max_proxy.backends.claude_cli.watchdog import watch


if sys.platform == "linux":
    import resource

    # The limit that the proxy itself was started with, before it raises its own.
    _DESCRIPTORS = resource.getrlimit(resource.RLIMIT_NOFILE)

_PR_SET_PDEATHSIG = 1


def prepare(announce: int | None = None, *, kept: bool = False) -> Callable[[], None]:
    """Return a function for the child to run, which makes the kernel kill the child when the proxy dies.

    If the proxy has died already, the child exits. The function also limits the child's file descriptors to
    the number that the proxy was started with.

    ``announce`` is a descriptor to which the child writes its process id, for the watchdog. ``kept`` says
    that the child is a keeper: the kernel sends it a signal instead of killing it, for it has other processes
    to end.
    """
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()
    number = signal.SIGCONT if kept else signal.SIGKILL

    def run() -> None:
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
        prctl(_PR_SET_PDEATHSIG, number)
        if kept:
            signal.pthread_sigmask(signal.SIG_BLOCK, keeper.HEARD)  # so that it misses none while it starts
        elif announce is not None:
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a watchdog may have died
            with contextlib.suppress(OSError):
                os.write(announce, watch(os.getpid()))
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if os.getppid() != parent:
            os._exit(1)

    return run
