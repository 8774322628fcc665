"""A separate program that runs one CLI and ends every process that the CLI has started. Linux only.

    python keeper.py PARENT COMMAND …

The keeper is a subreaper (``PR_SET_CHILD_SUBREAPER``): every process that the CLI starts, directly or not,
becomes a child of the keeper when its own parent has ended, whatever its session. The keeper kills them all
when the CLI has ended, when it is told to, and when its PARENT, the proxy, dies; the kernel then sends it
``SIGCONT``. It only ever kills its own children. This is safe because the system does not reuse the process
id of a child before its parent has waited for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path


# The signals that tell the keeper to end the CLI, or to stop it for a while. The keeper itself is never
# stopped, or it would not notice that its parent has died.
END: signal.Signals = getattr(signal, "SIGUSR1", signal.SIGTERM)
STOP: signal.Signals = getattr(signal, "SIGUSR2", signal.SIGTERM)
_NAMES = ("SIGCHLD", "SIGCONT", "SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
HEARD: frozenset[signal.Signals] = frozenset(
    getattr(signal, name) for name in _NAMES if hasattr(signal, name)
)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def command(arguments: list[str]) -> list[str]:
    """Return the command that runs ``arguments`` under a keeper whose parent is the calling process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *arguments]


def main(arguments: list[str]) -> int:
    """Run a command to its end, then end everything that it started; return the command's exit status."""
    parent = int(arguments[0])
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    keeper, child = os.getpid(), os.fork()
    if child == 0:
        _become(arguments[1:], keeper)
    _let_go_of_pipes()
    status = _keep(child, parent)
    return _end_all(child, status)


def _become(words: list[str], keeper: int) -> None:
    """Execute the command in this process, which the kernel kills when the keeper dies."""
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        if os.getppid() == keeper:
            os.execv(words[0], words)  # noqa: S606  # the words come from the proxy itself
    except OSError as error:
        os.write(2, f"{words[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _let_go_of_pipes() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)


def _keep(child: int, parent: int) -> int | None:
    """Pass signals on until the child has ended, or must be ended; return its status if it has ended."""
    while os.getppid() == parent:
        number = signal.sigwaitinfo(HEARD).si_signo
        if number == END:
            return None
        if number == signal.SIGCHLD:
            if (status := _reap(child)) is not None:
                return status
        elif os.getppid() == parent:
            passed_on = {STOP: signal.SIGSTOP, signal.SIGCONT: signal.SIGCONT}
            _signal(child, passed_on.get(signal.Signals(number), signal.SIGTERM))
    return None


def _reap(child: int) -> int | None:
    """Wait for every child that has ended; return the status of ``child`` if it is one of them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                found = ended[1]
    return found


def _signal(child: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        try:
            os.killpg(child, number)
        except ProcessLookupError:  # it has not made its own session yet
            os.kill(child, number)


def _end_all(child: int, status: int | None) -> int:
    """Kill all children until there are none, and return the exit code for ``child``.

    When a child dies, its own children become ours before we can have waited for it, so none is missed.
    """
    with contextlib.suppress(ChildProcessError):
        while True:
            for pid in _children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            pid, ended = os.waitpid(-1, 0)
            if pid == child:
                status = ended
    code = os.waitstatus_to_exitcode(status) if status is not None else 1
    return code if code >= 0 else 128 - code


def _children() -> list[int]:
    try:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii")
        return [int(pid) for pid in listed.split()]
    except OSError:  # not every kernel has this file
        every = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in every if _parent(pid) == os.getpid()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
