"""Lines out of bytes, bounded. Pure."""

from __future__ import annotations


class LineFramer:
    """Collects bytes, cut anywhere, into whole lines.

    A line longer than ``limit`` bytes raises :class:`ValueError`: nothing bounded can be made of it.
    """

    def __init__(self, limit: int) -> None:
        """Begin at the start of a line."""
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take more bytes; give the lines they complete, without their ends."""
        *whole, rest = chunk.split(b"\n")
        if whole and self._pieces:
            whole[0] = b"".join((*self._pieces, whole[0]))
            self._pieces.clear()
            self._size = 0
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
        if self._size > self._limit:
            raise ValueError(f"a line is longer than {self._limit} bytes")
        return [line for line in whole if line]
