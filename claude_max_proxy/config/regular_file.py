"""Reads a file that anybody may have put there: only if it is a regular file of a reasonable size.

Opening a FIFO would wait for its writer, and reading a device might never end.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path


LARGEST_TEXT = 1_000_000  # bytes of a file that a person writes
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_regular(path: Path, largest: int) -> bytes:
    """Return the content of the file at ``path`` without ever waiting; links are followed.

    Raises ``OSError`` if it cannot be read, is no regular file, or has more than ``largest`` bytes.
    """
    _check(path.stat(), path, largest)  # this comes first because opening a device may have effects
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        _check(os.fstat(descriptor), path, largest)
        content = file.read(largest + 1)
    if len(content) > largest:
        raise OSError(0, _too_large(largest), str(path))
    return content


def _check(status: os.stat_result, path: Path, largest: int) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise OSError(0, f"it is {_KINDS.get(kind, 'something else')}, not a regular file", str(path))
    if status.st_size > largest:
        raise OSError(0, _too_large(largest), str(path))


def _too_large(largest: int) -> str:
    return f"it is larger than {largest:,} bytes"
