"""Unpacks compressed bodies in the codings of HTTP, up to a limit. Pure.

The limit applies to what a body becomes, not to what it states: a few kilobytes can become gigabytes, in one
step, in many small pieces, or by several codings on top of each other. The libraries are only imported when
they are needed.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from claude_max_proxy.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType


_PIECE = 65536
_MOST_FRAMES = 1000
_MOST_CODINGS = 4
_GZIP, _ZLIB, _RAW = 31, 15, -15


class Stream(Protocol):
    """Unpacks one frame; zlib's objects have this interface, and others are adapted to it."""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""

    @property
    def unused_data(self) -> bytes:
        """What came after the end of the frame."""

    def decompress(self, data: Any, max_length: int, /) -> bytes:
        """Return what ``data`` adds, at most about ``max_length`` bytes."""


def codings(header: str) -> tuple[str, ...]:
    """Return the codings in a Content-Encoding header, in the order in which they were applied.

    Raises :class:`UnsupportedMediaType` for a coding that we cannot unpack, and for too many of them.
    """
    names = [name.strip().lower().removeprefix("x-") for name in header.split(",")]
    found = tuple(name for name in names if name not in {"", "identity"})
    for name in found:
        if name not in _STREAMS:
            raise UnsupportedMediaType(
                f"content-encoding: a body in {name[:100]!r} cannot be read here; "
                f"send it in {', '.join(_STREAMS)}, or as it is"
            )
    if len(found) > _MOST_CODINGS:
        raise UnsupportedMediaType(
            f"content-encoding: a body in more than {_MOST_CODINGS} codings is not read"
        )
    return found


def unpack(body: bytes, applied: Sequence[str], limit: int) -> bytes:
    """Unpack a body: undo the codings, the last one first. This may take a while.

    The memory that this needs is in proportion to ``limit``, in bytes. Raises :class:`BodyTooLarge` if the
    body becomes larger than that, and :class:`InvalidRequest` if it is not in the stated coding.
    """
    for name in reversed(applied):
        make, most = _STREAMS[name]
        try:
            body = _undone(body, make(body), most, limit)
        except BodyTooLarge:
            raise
        except Exception as error:  # each library has its own error, which can only be about the body
            raise InvalidRequest(
                f"the body is not in {name}, as its content-encoding says: {error}"
            ) from error
    return body


def _undone(body: bytes, make: Callable[[], Stream], most: int, limit: int) -> bytes:
    """Undo one coding; the body may consist of at most ``most`` frames, one after the other."""
    whole = bytearray()
    stream, frames = make(), 1
    for piece in _pieces(body):
        rest = piece
        while rest:
            if stream.eof:
                stream, frames = make(), frames + 1
                if frames > most:
                    raise ValueError(f"more follows after {most} of its ends")
            whole += stream.decompress(rest, limit + 1 - len(whole))
            if len(whole) > limit:
                raise BodyTooLarge(
                    f"the body is larger than {limit} bytes once it is unpacked; "
                    "[server] max_body_bytes sets the limit"
                )
            rest = stream.unused_data
    if not stream.eof:
        raise ValueError("it ends too early")
    return bytes(whole)


def _pieces(body: bytes) -> Iterator[bytes]:
    """Cut a body into pieces: what follows a frame is copied each time, so it must not be all the rest."""
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


# --- the codings


def _gzip(_: bytes) -> Callable[[], Stream]:
    return lambda: zlib.decompressobj(_GZIP)


def _deflate(body: bytes) -> Callable[[], Stream]:
    """Return a stream for zlib's format, as the standard says, or for raw data, which some clients send."""
    framed = len(body) > 1 and body[0] & 15 == zlib.DEFLATED and (body[0] << 8 | body[1]) % 31 == 0
    return lambda: zlib.decompressobj(_ZLIB if framed else _RAW)


def _brotli(_: bytes) -> Callable[[], Stream]:
    return _BrotliStream


def _zstd(_: bytes) -> Callable[[], Stream]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    return zstd.ZstdDecompressor


class _BrotliStream:
    """Adapts Brotli's object to the interface of the others; nothing may follow after its end."""

    unused_data = b""

    def __init__(self) -> None:
        if sys.implementation.name != "cpython":
            import brotlicffi as brotli  # type: ignore[import-not-found]
        else:
            import brotli

        self._decompressor = brotli.Decompressor()

    @property
    def eof(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return bytes(self._decompressor.process(data, output_buffer_limit=max_length))


# How each coding is undone, and how many frames of it may follow each other.
_STREAMS: dict[str, tuple[Callable[[bytes], Callable[[], Stream]], int]] = {
    "gzip": (_gzip, _MOST_FRAMES),
    "deflate": (_deflate, 1),
    "br": (_brotli, 1),
    "zstd": (_zstd, _MOST_FRAMES),
}
