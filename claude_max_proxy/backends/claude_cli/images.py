"""Predicts from its size whether the CLI passes an image in a tool's result on unchanged. Pure.

The CLI scales larger images down, and encodes them again. The limits were measured with versions 2.1.197 and
2.1.331; the newer version counts squares of 28 by 28 pixels, as the provider does.
"""

from __future__ import annotations

import binascii
from struct import error as StructError  # noqa: N812  # it is a class
from struct import unpack_from

from claude_max_proxy import Image


_MAX_BYTES = 500_000
_MAX_SIDE = 2000
_SQUARE = 28
_MAX_SQUARES = 4750
# The markers of a JPEG's frames, which say how large it is: SOF0 to SOF15, except three with other meanings.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def passes_unchanged(image: Image) -> bool:
    """Return whether the CLI leaves an image unchanged; ``False`` for one that is only linked to."""
    if image.url or len(image.data) > _MAX_BYTES * 4 // 3:
        return False

    try:
        width, height = _size(binascii.a2b_base64(image.data))
    except ValueError:  # also raised for an image that is cut off
        return False
    squares = -(-width // _SQUARE) * -(-height // _SQUARE)
    return 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE and squares <= _MAX_SQUARES


def _size(image: bytes) -> tuple[int, int]:
    """Return width and height in pixels. Raises :class:`ValueError` unless it is PNG, GIF, JPEG or WebP."""
    if image.startswith(b"\x89PNG"):
        return _pair(">II", image, 16)
    if image.startswith(b"GIF8"):
        return _pair("<HH", image, 6)
    if image.startswith(b"\xff\xd8"):
        return _jpeg_size(image)
    return _webp_size(image)


def _jpeg_size(image: bytes) -> tuple[int, int]:
    at = 2
    while True:
        marker, length = _pair(">HH", image, at)
        if marker < 0xFF00:
            raise ValueError("no marker where one must be")
        if marker & 0xFF in _FRAMES:
            height, width = _pair(">HH", image, at + 5)
            return width, height
        at += 2 + length


def _webp_size(image: bytes) -> tuple[int, int]:
    match image[12:16]:
        case b"VP8 ":
            width, height = _pair("<HH", image, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits, _ = _pair("<IB", image, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            low, high, low_height, high_height = _numbers("<HBHB", image, 24)
            return (high << 16 | low) + 1, (high_height << 16 | low_height) + 1
        case kind:
            raise ValueError(f"no image of a known kind: {kind!r}")


def _pair(form: str, image: bytes, at: int) -> tuple[int, int]:
    first, second = _numbers(form, image, at)
    return first, second


def _numbers(form: str, image: bytes, at: int) -> tuple[int, ...]:
    try:
        return unpack_from(form, image, at)
    except StructError as error:
        raise ValueError("the image ends within its head") from error
