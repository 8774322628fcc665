"""What inline data is, by its bytes: labels are often wrong, and providers look at the bytes as well.

Five signatures are all that a model takes, so no library is needed for them; those of other kinds are there
to say what came instead.
"""

from __future__ import annotations

import base64
import binascii
import re

from claude_max_proxy.errors import InvalidRequest


IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
PDF = "application/pdf"
_HEAD = 1024  # bytes that are looked at
_HEAD_CHARACTERS = _HEAD // 3 * 4
_SIGNATURES = (
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/webp", re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
    (PDF, re.compile(rb"%PDF-")),
)
_OTHERS = (
    ("a HEIC or AVIF image", re.compile(rb".{4}ftyp(?:hei|hev|mif|msf|avi)", re.DOTALL)),
    ("a BMP image", re.compile(rb"BM.{12}[\x0c\x28\x6c\x7c]", re.DOTALL)),
    ("a TIFF image", re.compile(rb"II\*\x00|MM\x00\*")),
    ("an ICO image", re.compile(rb"\x00\x00\x01\x00")),
    (
        "an SVG drawing",
        re.compile(rb"\s*(?:<\?xml.{0,500}?|<!--.{0,500}?-->\s*)?<svg", re.DOTALL | re.IGNORECASE),
    ),
    ("a web page", re.compile(rb"\s*<(?:!doctype html|html)", re.IGNORECASE)),
    ("a ZIP archive or an Office document", re.compile(rb"PK\x03\x04")),
    ("JSON", re.compile(rb"\s*[{\[]")),
)
_SPACE = re.compile(r"\s+")
_URL_SAFE = str.maketrans("-_", "+/")


def canonical(data: str, path: str) -> str:
    """Return base64 as the standard has it, of whichever way it was written.

    White space, the alphabet for URLs, and missing padding are put right. Raises :class:`InvalidRequest` for
    what is no base64, and for nothing at all.
    """
    if _is_canonical(data):
        return data

    cleaned = _SPACE.sub("", data).translate(_URL_SAFE).rstrip("=")
    cleaned += "=" * (-len(cleaned) % 4)
    if not cleaned:
        raise InvalidRequest(f"{path}: there is no data; send the file's bytes in base64", param=path)
    if not _is_canonical(cleaned):
        raise InvalidRequest(f"{path}: this is not base64; send the file's bytes in base64", param=path)
    return cleaned


def _is_canonical(data: str) -> bool:
    """Tell whether all of it is base64; strict about padding, as the provider is."""
    try:
        return bool(binascii.a2b_base64(data, strict_mode=True))
    except (binascii.Error, ValueError):  # also what is not ASCII
        return False


def kind_of(data: str) -> str:
    """Return the media type of canonical base64, by its first bytes; empty for one that no model takes."""
    head = _head(data)
    return next((kind for kind, signature in _SIGNATURES if signature.match(head)), "")


def no_image(data: str, label: str, path: str) -> InvalidRequest:
    """Say that something is no image of a kind that a model takes, and what it looks like."""
    return InvalidRequest(
        f"{path}: images must be PNG, JPEG, GIF or WebP, and this {_looks(data, label)}; convert it first",
        param=path,
    )


def no_document(data: str, label: str, path: str) -> InvalidRequest:
    """Say that something is no document that a model takes, and what it looks like."""
    return InvalidRequest(
        f"{path}: files must be PDF, text or images, and this {_looks(data, label)}",
        param=path,
        code="unsupported_content",
    )


def _looks(data: str, label: str) -> str:
    head = _head(data)
    known = {PDF: "a PDF; send it as a file"}
    seen = known.get(kind_of(data)) or next((what for what, sign in _OTHERS if sign.match(head)), "")
    return f"looks like {seen}" if seen else f"is none of them, though labelled {label[:80]!r}"


def _head(data: str) -> bytes:
    return base64.b64decode(data[:_HEAD_CHARACTERS])
