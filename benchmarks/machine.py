"""What the machine says of a process and everything below it: CPU time and memory, out of ``/proc``."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path


_PROCESS_CLOCK = 2  # what clock_getcpuclockid(3) makes of a process id, which Python does not offer
_TICK = os.sysconf("SC_CLK_TCK")
_QUIET = 0.2  # of a core
_WINDOW = 0.3
_PATIENCE = 20.0


def describe() -> str:
    """Say on what this runs."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}"


def own_cpu(pid: int) -> float:
    """CPU seconds of this process alone, all its threads, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)


def tree_cpu(pid: int) -> float:
    """CPU seconds of a process, of all below it, and of those below it that have ended."""
    return sum(sum(_times(member)) for member in tree(pid))


def tree(pid: int) -> list[int]:
    """Give the process and all that live below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return found


def resident(pid: int) -> int:
    """Bytes of memory of this process, what it shares counted in full."""
    return _rollup(pid, "Rss")


def tree_share(pid: int) -> int:
    """Bytes of memory of a process and all below it, what they share counted once."""
    return sum(_rollup(member, "Pss") for member in tree(pid))


def wait_until_quiet(*pids: int) -> None:
    """Wait until these processes and all below them hardly compute any more."""
    deadline = time.monotonic() + _PATIENCE
    before = sum(map(tree_cpu, pids))
    while time.monotonic() < deadline:
        time.sleep(_WINDOW)  # noqa: TID251
        now = sum(map(tree_cpu, pids))
        if abs(now - before) < _QUIET * _WINDOW:
            return
        before = now


def _times(pid: int) -> list[float]:
    """User and system seconds, its own and of its children that have ended."""
    fields = _stat(pid)
    return [int(field) / _TICK for field in fields[11:15]] if fields else [0.0] * 4


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold anything; none when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _rollup(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
