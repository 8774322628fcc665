"""How much memory processes take, and how much they may."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path


SIZE = r"(\d+(\.\d+)? ?([KMGT]i?)?B)?"
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
# What is expected of a process that was not measured yet.
_EXPECTED = 180 * 1024**2


def read_size(text: str) -> int | None:
    """Return the bytes that a text like "2GB" says, ``None`` if it says none; units are powers of 1,024."""
    match = re.fullmatch(SIZE, text)
    if match is None or not text:
        return None
    number = re.match(r"[\d.]+", text)
    assert number is not None
    return int(float(number[0]) * 1024 ** _UNITS[(match[3] or "")[:1]])


class MemoryBudget:
    """What all processes of a pool may take together; without a limit it allows everything."""

    def __init__(self, limit: int | None) -> None:
        """Allow ``limit`` bytes."""
        self.limit = limit
        self._sizes: dict[int, int] = {}

    def measure(self, pids: Collection[int]) -> None:
        """Look at these processes, and forget all others. It takes a millisecond or two for each."""
        self._sizes = {pid: proportional_memory(pid) for pid in pids}

    def size(self, pid: int) -> int:
        """Return what a process takes, or may be expected to."""
        return self._sizes.get(pid) or _EXPECTED

    def allows(self, pids: Collection[int], more: int) -> bool:
        """Tell whether there is room for ``more`` processes beside these; for the first there always is."""
        if self.limit is None or not pids:
            return True
        return sum(map(self.size, pids)) + more * _EXPECTED <= self.limit

    def excess(self, pids: Collection[int]) -> int:
        """Return by how many bytes these are over the limit."""
        return 0 if self.limit is None else max(sum(map(self.size, pids)) - self.limit, 0)


def proportional_memory(pid: int) -> int:
    """Return what a process takes in bytes, its part of what it shares counted by how many share it.

    0 where the system does not tell, as elsewhere than on Linux.
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return resident_memory(pid)
    match = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def resident_memory(pid: int) -> int:
    """Return a process's resident memory in bytes, 0 where the system does not tell it in ``/proc``."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
