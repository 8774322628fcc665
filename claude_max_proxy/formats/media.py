"""Recognises inline data by its bytes: labels are often wrong, and providers also look at the bytes.

Models accept only five kinds of files, so no library is needed to recognise them. The signatures of other
kinds are there for error messages, which say what came instead.
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
_SPACES = [chr(code) for code in range(0x3001) if chr(code).isspace()]
_ASCII_SPACES = [space for space in _SPACES if space.isascii()]


def canonical(data: str, path: str) -> str:
    """Return base64 in its standard form.

    White space is removed, the alphabet for URLs is replaced, and missing padding is added. Raises
    :class:`InvalidRequest` with ``path`` for what is no base64, and for an empty text.
    """
    if _is_canonical(data):
        return data

    cleaned = data
    for space in _ASCII_SPACES if data.isascii() else _SPACES:  # far faster than a regular expression
        cleaned = cleaned.replace(space, "")
    cleaned = cleaned.replace("-", "+").replace("_", "/").rstrip("=")
    cleaned += "=" * (-len(cleaned) % 4)
    if not cleaned:
        raise InvalidRequest.at(path, "there is no data; send the file's bytes in base64")
    if not _is_canonical(cleaned):
        raise InvalidRequest.at(path, "this is not base64; send the file's bytes in base64")
    return cleaned


def _is_canonical(data: str) -> bool:
    """Return whether ``data`` is base64 in its standard form, with padding, as the provider wants it."""
    try:
        return bool(binascii.a2b_base64(data, strict_mode=True))
    except (binascii.Error, ValueError):  # a ValueError says that it is not ASCII
        return False


def kind_of(data: str) -> str:
    """Return the media type of base64 by its first bytes, or an empty text if no model accepts it.

    ``data`` must be in the standard form; see :func:`canonical`.
    """
    head = _head(data)
    return next((kind for kind, signature in _SIGNATURES if signature.match(head)), "")


def no_image(data: str, label: str, path: str) -> InvalidRequest:
    """Return the error for what is no image that a model accepts; it says what the data looks like."""
    return InvalidRequest.at(
        path, f"images must be PNG, JPEG, GIF or WebP, and this {_looks(data, label)}; convert it first"
    )


def no_document(data: str, label: str, path: str) -> InvalidRequest:
    """Return the error for what is no document that a model accepts; it says what the data looks like."""
    return InvalidRequest.at(
        path, f"files must be PDF, text or images, and this {_looks(data, label)}", code="unsupported_content"
    )


def _looks(data: str, label: str) -> str:
    head = _head(data)
    known = {PDF: "a PDF; send it as a file"}
    seen = known.get(kind_of(data)) or next((what for what, sign in _OTHERS if sign.match(head)), "")
    return f"looks like {seen}" if seen else f"is none of them, though labelled {label[:80]!r}"


def _head(data: str) -> bytes:
    return base64.b64decode(data[:_HEAD_CHARACTERS])
