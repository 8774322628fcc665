"""Checks images and documents: their labels, and whether their bytes agree.

Sources: github.com/anthropics/claude-code/issues/8184 (media types), /12750 (empty), /56511 (no image),
/19631 (too large), /5174 (no PDF); anthropics/anthropic-sdk-typescript/issues/603 (no base64);
home-assistant/core/issues/167208 and BerriAI/litellm/issues/24900 (another label than the bytes have; before
2026 the API said "Image does not match the provided media type image/png");
platform.claude.com/docs `build-with-claude/vision` (https alone).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from claude_max_proxy.testing.strictness.content import Body, Placed, blocks_of
from claude_max_proxy.testing.strictness.fields import SOURCES
from claude_max_proxy.testing.strictness.shapes import Betas, check_tagged


LARGEST_IMAGE = 5 * 1024 * 1024
"""The limit in characters of base64, which the API counts."""


def check_media(body: Body, betas: Betas) -> Iterator[str]:
    """Yield errors for data that is no image or document, or has the label of another kind."""
    for placed in blocks_of(body):
        if placed.tag not in SOURCES:
            continue
        path = f"{placed.path}.source"
        faults = list(check_tagged(placed.block["source"], SOURCES[placed.tag], path, betas))
        yield from faults or _check_source(placed)


def _check_source(placed: Placed) -> Iterator[str]:
    source = placed.block["source"]
    path = f"{placed.path}.source.{source['type']}"
    if source["type"] == "url" and not source["url"].startswith("https://"):
        yield f"{path}.url: Only HTTPS URLs are supported."
    if source["type"] == "base64" and placed.tag == "image":
        yield from _check_image(source["data"], source["media_type"], path)
    if source["type"] == "base64" and placed.tag == "document":
        content = _decoded(source["data"])
        if content is None or not content.startswith(b"%PDF-"):
            yield f"{path}.data: The PDF specified was not valid."


def _check_image(data: str, label: str, path: str) -> Iterator[str]:
    content = _decoded(data)
    if content is None:
        yield f"{path}: invalid base64 data"
    elif not content:
        yield f"{path}: image cannot be empty"
    elif len(data) > LARGEST_IMAGE:
        yield f"{path}: image exceeds 5 MB maximum: {len(data)} bytes > {LARGEST_IMAGE} bytes"
    elif (actual := media_type(content)) is None:
        yield "Could not process image"
    elif actual != label:
        yield (
            f"{path}: The image was specified using the {label} media type, "
            f"but the image appears to be a {actual} image"
        )


def media_type(content: bytes) -> str | None:
    """Return the kind of image that begins with these bytes, or None if they are no image."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def _decoded(data: str) -> bytes | None:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
