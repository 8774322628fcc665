"""How much memory processes use, and how much they may use together."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from claude_max_proxy.backends.claude_cli.offspring import tree


SIZE = r"(\d+(\.\d+)? ?([KMGT]i?)?B)?"
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
# The memory, in bytes, that a process is assumed to use until it is measured.
_EXPECTED = 180 * 1024**2


def read_size(text: str) -> int | None:
    """Return the number of bytes that a text like "2GB" stands for, or ``None`` if it is no size.

    Units are powers of 1,024.
    """
    match = re.fullmatch(SIZE, text)
    if match is None or not text:
        return None
    number = re.match(r"[\d.]+", text)
    assert number is not None
    return int(float(number[0]) * 1024 ** _UNITS[(match[3] or "")[:1]])


class MemoryBudget:
    """The memory that all processes of a pool may use together; without a limit it allows everything."""

    def __init__(self, limit: int | None) -> None:
        """Allow ``limit`` bytes; ``None`` means no limit."""
        self.limit = limit
        self._sizes: dict[int, int] = {}

    def measure(self, pids: Collection[int]) -> None:
        """Measure these processes, including what they have started, and forget all others.

        This takes a millisecond or two for each process.
        """
        self._sizes = {pid: sum(map(proportional_memory, tree(pid))) for pid in pids}

    def size(self, pid: int) -> int:
        """Return how many bytes a process uses, an assumed size if it was not measured yet."""
        return self._sizes.get(pid) or _EXPECTED

    def allows(self, pids: Collection[int], more: int) -> bool:
        """Return whether there is room for ``more`` processes in addition to these.

        For the first process there always is.
        """
        if self.limit is None or not pids:
            return True
        return sum(map(self.size, pids)) + more * _EXPECTED <= self.limit

    def excess(self, pids: Collection[int]) -> int:
        """Return by how many bytes these processes exceed the limit, 0 if they do not."""
        return 0 if self.limit is None else max(sum(map(self.size, pids)) - self.limit, 0)


def proportional_memory(pid: int) -> int:
    """Return a process's memory in bytes; memory shared by several processes is divided between them.

    Returns the resident memory where the kernel does not provide this, and 0 on systems other than Linux.
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return resident_memory(pid)
    match = re.search(r"^Pss: +(\d+) kB", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def resident_memory(pid: int) -> int:
    """Return a process's resident memory in bytes, or 0 where the system has no ``/proc``."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
