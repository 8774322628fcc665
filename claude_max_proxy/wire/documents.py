"""Images and files as they stand in requests: data URLs, and https URLs of images."""

from __future__ import annotations

import base64
import re

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import File, Image


IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/toml"})
_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?:;[^;,]*)*?;base64,", re.ASCII)
_HEADER_LIMIT = 256


def read_image(url: str, path: str) -> Image:
    """Read an image; one by URL is passed on as such, for the provider to fetch, never for us."""
    if url.startswith(("https://", "http://")):
        return Image(url=url)

    media_type, data = _data_url(url, path)
    if media_type not in IMAGE_TYPES:
        raise InvalidRequest(f"{path}: images must be PNG, JPEG, GIF or WebP, not {media_type}", param=path)
    return Image(media_type, data)


def read_document(url: str, name: str, path: str) -> Image | File:
    """Read a file, a data URL, as what the model takes it for: a PDF, an image, or text."""
    media_type, data = _data_url(url, path)
    if media_type in IMAGE_TYPES:
        return Image(media_type, data)
    if media_type == "application/pdf":
        return File(media_type, data, name)
    if media_type.startswith("text/") or media_type in _TEXT_TYPES:
        return File("text/plain", _checked_text(data, path), name)

    raise InvalidRequest(
        f"{path}: files must be PDF, text or images, not {media_type}",
        param=path,
        code="unsupported_content",
    )


def _checked_text(data: str, path: str) -> str:
    try:
        base64.b64decode(data, validate=True).decode()
    except ValueError as error:  # also what is not UTF-8
        raise InvalidRequest(f"{path}: not base64 of UTF-8 text: {error}", param=path) from error
    return data


def _data_url(url: str, path: str) -> tuple[str, str]:
    header = _DATA_URL.match(url, 0, _HEADER_LIMIT)
    if header is None:
        raise InvalidRequest(f"{path} must be a data URL (data:TYPE;base64,DATA) or an https URL", param=path)
    return header["type"].lower(), url[header.end() :]
