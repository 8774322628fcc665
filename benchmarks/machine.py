"""Reads the CPU time and the memory of a process and its descendants from ``/proc``."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path


_PROCESS_CLOCK = 2  # with this, clock_getcpuclockid(3), which Python lacks, makes a clock of a process id
_TICK = os.sysconf("SC_CLK_TCK")
_QUIET = 0.2  # the part of a core that quiet processes may use
_WINDOW = 0.3
_PATIENCE = 20.0


def describe() -> str:
    """Return a description of the machine."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}"


def own_cpu(pid: int) -> float:
    """Return the CPU seconds of all threads of this process, without other processes, to the nanosecond."""
    return time.clock_gettime(~pid << 3 | _PROCESS_CLOCK)


def tree_cpu(pid: int) -> float:
    """Return the CPU seconds of a process and all its descendants, including those that have ended."""
    return sum(sum(_times(member)) for member in tree(pid))


def tree(pid: int) -> list[int]:
    """Return the ids of a process and all its living descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return found


def resident(pid: int) -> int:
    """Return the memory of a process in bytes; shared memory counts in full."""
    return _rollup(pid, "Rss")


def tree_share(pid: int) -> int:
    """Return the memory of a process and all its descendants in bytes; memory that they share counts once."""
    return sum(_rollup(member, "Pss") for member in tree(pid))


def wait_until_quiet(*pids: int) -> None:
    """Wait until these processes and their descendants use hardly any CPU time."""
    deadline = time.monotonic() + _PATIENCE
    before = sum(map(tree_cpu, pids))
    while time.monotonic() < deadline:
        time.sleep(_WINDOW)  # noqa: TID251
        now = sum(map(tree_cpu, pids))
        if abs(now - before) < _QUIET * _WINDOW:
            return
        before = now


def _times(pid: int) -> list[float]:
    """Return the user and system seconds of a process, and those of its children that have ended."""
    fields = _stat(pid)
    return [int(field) / _TICK for field in fields[11:15]] if fields else [0.0] * 4


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, which may contain anything; return none if the process is gone."""
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
