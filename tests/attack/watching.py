"""What Linux tells about a process: its memory, descriptors, threads and children."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path


MB = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """The size of a process: MB, descriptors and threads; `peak` is the most since it was last reset."""

    memory: float
    peak: float
    descriptors: int
    threads: int


def size_of(pid: int) -> Size:
    """Return the size of a process. Raises OSError if it is gone."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    facts = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    memory, peak = (int(facts[name][0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return Size(memory, peak, descriptors, int(facts["Threads"][0]))


def forget_peak(pid: int) -> None:
    """Reset the peak of a process's memory to what it uses now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def state_of(pid: int) -> str:
    """Return the state of a process as a letter: T is stopped, Z has ended; empty if it is gone."""
    found = _status(pid)
    return found[0] if found else ""


def parent_of(pid: int) -> int:
    """Return the parent of a process, or 0 if it is gone."""
    found = _status(pid)
    return found[1] if found else 0


def stray(pids: list[int], root: int) -> list[int]:
    """Return the processes that are no longer descendants of `root` and have not ended."""
    return [pid for pid in pids if not _descends(pid, root) and state_of(pid) not in {"", "Z"}]


def zombies(parent: int) -> int:
    """Return how many children have ended without having been waited for."""
    pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return sum(1 for pid in pids if _status(pid) == ("Z", parent))


def _descends(pid: int, root: int) -> bool:
    while pid > 1:
        if pid == root:
            return True
        pid = parent_of(pid)
    return False


def _status(pid: int) -> tuple[str, int] | None:
    with contextlib.suppress(OSError):
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        return state, int(parent)
    return None
