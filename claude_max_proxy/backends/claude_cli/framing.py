"""Splits a stream of bytes into lines of a bounded length. Pure."""

from __future__ import annotations


class LineFramer:
    """Joins chunks of bytes, which may be cut anywhere, into whole lines.

    The rest of a line that is not complete may have ``limit`` bytes.
    """

    def __init__(self, limit: int) -> None:
        """Begin at the start of a line."""
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take more bytes; return the lines that they complete, without line ends and without empty lines.

        Raises :class:`ValueError` when an incomplete line is longer than the limit.
        """
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
