"""Keeps rows in a file of JSON lines while the database is away: for the user alone, and within a bound.

Each process has a file of its own, and holds a lock on it. A file on which nobody holds a lock was left
behind by a process that has ended, and belongs to whoever locks it first.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from claude_max_proxy.ledger.row import Row


MOST_BYTES = 64 * 1024 * 1024
_CHUNK = 500  # rows
_SUFFIX = ".jsonl"


class Spill:
    """The rows that wait for the database with this URL."""

    def __init__(self, folder: Path, url: str, most_bytes: int = MOST_BYTES) -> None:
        """Remember where; a file exists only while rows wait."""
        self._folder = folder
        self._prefix = f"ledger-waiting-{hashlib.blake2b(url.encode(), digest_size=8).hexdigest()}-"
        self._most_bytes = most_bytes
        self._file: BinaryIO | None = None
        self._path = Path()
        self._size = 0
        self.rows = 0

    def add(self, rows: Sequence[Row]) -> int:
        """Append rows; return how many there was room for. Raises ``OSError`` if none can be written."""
        added = 0
        for row in rows:
            line = msgspec.json.encode(row) + b"\n"
            if self._size + len(line) > self._most_bytes:
                break
            self._append(line)
            added += 1
        return added

    def chunks(self) -> Iterator[list[Row]]:
        """Yield the rows, the oldest first, some hundreds at a time. A line that broke off is left out."""
        if self._file is not None:
            yield from _chunks(self._path)

    def clear(self) -> None:
        """Remove the file, since its rows are in the database."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
        self._file, self._size, self.rows = None, 0, 0

    def close(self) -> None:
        """Leave the file to the next process."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def left_behind(self) -> Iterator[list[Row]]:
        """Yield the rows that processes have left behind that do not live; then remove their files."""
        for path in self.orphans():
            with contextlib.suppress(OSError), path.open("r+b") as file:
                if _lock(file):
                    yield from _chunks(path)
                    path.unlink(missing_ok=True)

    def orphans(self) -> list[Path]:
        """Return the other processes' files, whether those live or not, the oldest first."""
        own = self._path if self._file is not None else None
        found = (path for path in self._folder.glob(f"{self._prefix}*{_SUFFIX}") if path != own)
        return sorted(found, key=_modified)

    def _append(self, line: bytes) -> None:
        if self._file is None:
            self._open()
        assert self._file is not None  # it is open now
        done = self._file.write(line)
        if done != len(line):
            raise OSError("the disk is full")
        self._size += len(line)
        self.rows += 1

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = self._folder / f"{self._prefix}{secrets.token_hex(8)}{_SUFFIX}"
            number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            file = os.fdopen(number, "r+b", buffering=0)
            if _lock(file):
                self._file, self._path, self._size = file, path, 0
                return
            file.close()  # another process took it for one that was left behind


def _chunks(path: Path) -> Iterator[list[Row]]:
    rows: list[Row] = []
    with path.open("rb") as lines:
        for line in lines:
            with contextlib.suppress(msgspec.MsgspecError):
                rows.append(msgspec.json.decode(line, type=Row))
            if len(rows) == _CHUNK:
                yield rows
                rows = []
    if rows:
        yield rows


def _modified(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


if os.name == "nt":  # pragma: no cover

    def _lock(file: BinaryIO) -> bool:
        """Lock a byte far behind the end, since Windows lets nobody read what is locked."""
        import msvcrt

        file.seek(2**30)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True

else:

    def _lock(file: BinaryIO) -> bool:
        """Lock a file until it is closed, if nobody else has done so."""
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
