"""Limits the size of a request's target, headers and trailers, which come before we know the client. Pure.

A parser reports what is complete, and keeps what is not. So we count both: what it has found, and the bytes
that arrived while it found nothing.
"""

from __future__ import annotations

from claude_max_proxy.errors import HeadersTooLarge, ProxyError, TargetTooLong


MOST_BYTES = 65_536
MOST_HEADERS = 200
LONGEST_TARGET = 8_192


class Measure:
    """Measures the requests of one connection, one after the other.

    ``in_head`` says that the next bytes belong to the head of a request, and ``begun`` that some of it has
    arrived.
    """

    def __init__(self) -> None:
        """Prepare for the first request."""
        self.in_head = True
        self.begun = False
        self._target = 0
        self._headers = 0
        self._bytes = 0
        self._found = 0
        self._found_before = 0
        self._unfinished = 0

    def begin(self) -> None:
        """Note that a request begins."""
        self.in_head = self.begun = True
        self._target = self._headers = self._bytes = 0
        self._found += 1

    def target(self, size: int) -> None:
        """Count a piece of the target. Raises :class:`TargetTooLong` if the target is too long."""
        self._target += size
        if self._target > LONGEST_TARGET:
            raise _target_too_long()

    def header(self, size: int) -> None:
        """Count a header or trailer. Raises :class:`HeadersTooLarge` if they are too many or too large."""
        self._headers += 1
        self._bytes += size
        if self._headers > MOST_HEADERS or self._bytes > MOST_BYTES:
            raise _headers_too_large()

    def head_ends(self) -> None:
        """Note that the headers are complete."""
        self.in_head = False
        self._found += 1

    def content(self) -> None:
        """Note that a piece of the body, or the beginning of a chunk, was found."""
        self._found += 1

    def end(self) -> None:
        """Note that the request is complete."""
        self.in_head, self.begun = True, False
        self._found += 1

    def before(self) -> None:
        """Prepare for bytes that are about to be parsed."""
        self._found_before = self._found

    def after(self, size: int) -> None:
        """Note that ``size`` bytes were parsed.

        Raises :class:`TargetTooLong` or :class:`HeadersTooLarge` if too many bytes have led to nothing.
        """
        if self._found != self._found_before:
            self._unfinished = 0
            return
        self._unfinished += size
        if self._unfinished > MOST_BYTES:
            raise self._too_much()

    def _too_much(self) -> ProxyError:
        return (
            _target_too_long() if self.in_head and self.begun and not self._target else _headers_too_large()
        )


def _target_too_long() -> TargetTooLong:
    return TargetTooLong(f"the path and query of a request may have {LONGEST_TARGET:,} bytes")


def _headers_too_large() -> HeadersTooLarge:
    return HeadersTooLarge(
        f"a request may have {MOST_HEADERS} headers, of {MOST_BYTES:,} bytes in all, trailers included"
    )
