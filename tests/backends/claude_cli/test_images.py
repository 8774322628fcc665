"""Which images in results the CLI leaves unchanged."""

from __future__ import annotations

import base64
import struct

import pytest

from claude_max_proxy import Image
from claude_max_proxy.backends.claude_cli.images import passes_unchanged


def png(width: int, height: int) -> bytes:
    """Return the head of a PNG."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height)


def gif(width: int, height: int) -> bytes:
    """Return the head of a GIF."""
    return b"GIF89a" + struct.pack("<HH", width, height)


def jpeg(width: int, height: int) -> bytes:
    """Return a JPEG up to its frame header, which comes after a comment and a table."""
    before = b"\xff\xfe\0\x06abcd" + b"\xff\xc4\0\x04ab"
    return b"\xff\xd8" + before + b"\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width)


def lossy_webp(width: int, height: int) -> bytes:
    """Return the head of a lossy WebP."""
    return b"RIFF....WEBPVP8 ....\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)


def lossless_webp(width: int, height: int) -> bytes:
    """Return the head of a lossless WebP."""
    return b"RIFF....WEBPVP8L....\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\0"


def extended_webp(width: int, height: int) -> bytes:
    """Return the head of an extended WebP."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF....WEBPVP8X....\0\0\0\0" + sides


KINDS = [png, gif, jpeg, lossy_webp, lossless_webp, extended_webp]


def passes(data: bytes) -> bool:
    """Return whether an image with these bytes passes."""
    return passes_unchanged(Image("image/png", base64.b64encode(data).decode()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("width", "height", "unchanged"),
    [
        (1, 1, True),
        (1932, 1932, False),
        (1904, 1932, True),
        (2000, 10, True),
        (10, 2000, True),
        (2001, 10, False),
        (10, 2001, False),
        (2000, 2000, False),
    ],
)
def test_sizes(kind: object, width: int, height: int, unchanged: bool) -> None:
    """An image of every kind passes up to 2,000 pixels a side, and up to a number of 28-pixel squares."""
    assert callable(kind)
    assert unchanged is passes(kind(width, height))


@pytest.mark.parametrize(
    "data", [*(kind(9, 9)[:-1] for kind in KINDS), b"", b"hello", b"\xff\xd8" + b"a" * 99]
)
def test_what_has_no_size(data: bytes) -> None:
    """A truncated image, and what is no image, does not pass."""
    assert not passes(data)


def test_other_reasons() -> None:
    """An image by URL has no bytes, and one of many is made smaller whatever its size."""
    assert not passes_unchanged(Image(url="https://a/b.png"))
    assert not passes_unchanged(Image("image/png", "not base64"))
    assert passes(png(1, 1) + bytes(490_000))
    assert not passes(png(1, 1) + bytes(510_000))
