"""Bodies that came compressed, and how each coding of HTTP is undone: pure, and only up to a limit.

What a body may become is bounded, not what it says of itself: a few kilobytes can stand for gigabytes, in one
go, in many small pieces, or in several codings one inside the other. The libraries are imported by who needs
them.
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
    """Undoes the coding of one frame: zlib's objects, and those that are like them."""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""

    @property
    def unused_data(self) -> bytes:
        """What came after its end."""

    def decompress(self, data: Any, max_length: int, /) -> bytes:
        """Return what ``data`` adds, about ``max_length`` bytes at most."""


def codings(header: str) -> tuple[str, ...]:
    """Read a Content-Encoding header: the codings in the order in which they were applied.

    Raises :class:`UnsupportedMediaType` for one that cannot be undone here.
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
    """Undo codings, the last one first; the whole takes a while, and no place beyond some of ``limit`` bytes.

    Raises :class:`BodyTooLarge` for what becomes larger than ``limit``, and :class:`InvalidRequest` for what
    is not in the coding that it is said to be in.
    """
    for name in reversed(applied):
        make, most = _STREAMS[name]
        try:
            body = _undone(body, make(body), most, limit)
        except BodyTooLarge:
            raise
        except Exception as error:  # each library has an error of its own, and theirs is about the body alone
            raise InvalidRequest(
                f"the body is not in {name}, as its content-encoding says: {error}"
            ) from error
    return body


def _undone(body: bytes, make: Callable[[], Stream], most: int, limit: int) -> bytes:
    """Undo one coding, of at most so many frames one after the other."""
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
    """Cut a body: what follows a frame is copied, and must not be all of the rest each time."""
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


# --- the codings


def _gzip(_: bytes) -> Callable[[], Stream]:
    return lambda: zlib.decompressobj(_GZIP)


def _deflate(body: bytes) -> Callable[[], Stream]:
    """As the standard has it, in zlib's frame, or as some clients have it, without."""
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
    """Brotli's own object, which takes nothing after its end, in the manner of the others."""

    unused_data = b""

    def __init__(self) -> None:
        if sys.implementation.name == "cpython":
            import brotli  # type: ignore[import-untyped]
        else:
            import brotlicffi as brotli  # type: ignore[import-not-found]

        self._decompressor = brotli.Decompressor()

    @property
    def eof(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return bytes(self._decompressor.process(data, output_buffer_limit=max_length))


# How each is undone, and how many frames of it may follow each other.
_STREAMS: dict[str, tuple[Callable[[bytes], Callable[[], Stream]], int]] = {
    "gzip": (_gzip, _MOST_FRAMES),
    "deflate": (_deflate, 1),
    "br": (_brotli, 1),
    "zstd": (_zstd, _MOST_FRAMES),
}
