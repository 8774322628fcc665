"""Finds what a process has started that still runs, and ends it where its keeper cannot. Linux only."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from pathlib import Path


_NAME = "CLAUDE_MAX_PROXY_AGENT"


def mark() -> dict[str, str]:
    """Return an environment variable with a random value, by which all that a process starts can be found."""
    return {_NAME: secrets.token_hex(16)}


def children(pid: int) -> list[int]:
    """Return the ids of a process's direct children. Raises :class:`OSError` if the system cannot tell."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    listed = [(thread / "children").read_text("ascii") for thread in threads]
    return [int(child) for line in listed for child in line.split()]


def tree(pid: int) -> list[int]:
    """Return the ids of a process and of all its descendants that the system lists."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            found += children(one)
    return found


def end_marked(marked: dict[str, str]) -> None:
    """Kill every process whose environment contains the mark. This takes some milliseconds.

    A process is held by a pidfd before its environment is read, so no other process is killed by mistake when
    the system uses a process id again.
    """
    words = {f"{name}={value}".encode() for name, value in marked.items()}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            held = os.pidfd_open(int(path.name))
            try:
                if not words.isdisjoint((path / "environ").read_bytes().split(b"\0")):
                    signal.pidfd_send_signal(held, signal.SIGKILL)
            finally:
                os.close(held)
