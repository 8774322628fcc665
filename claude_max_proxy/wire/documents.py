"""Images and files as they stand in requests: data URLs, base64 beside a label, and https URLs of images."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import File, Image
from claude_max_proxy.wire.media import IMAGE_TYPES, PDF, canonical, kind_of, no_document, no_image


_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/toml"})
_DATA_URL = re.compile(
    r"\s*data:(?P<type>[^;,]{0,100})(?P<parameters>(?:;[^;,]{0,100}){0,10}),", re.IGNORECASE
)
_WEB_URL = re.compile(r"\s*https?://", re.IGNORECASE)


def read_image(url: str, path: str) -> Image:
    """Read an image; one by URL is passed on as such, for the provider to fetch, never for us."""
    if _WEB_URL.match(url):
        return Image(url=url.strip())

    label, data = _data_url(url, path)
    return inline_image(label, data, path)


def inline_image(label: str, data: str, path: str) -> Image:
    """Read an image that is base64 ``data``, whatever ``label`` says that it is."""
    data = canonical(data, path)
    kind = kind_of(data)
    if kind not in IMAGE_TYPES:
        raise no_image(data, label, path)
    return Image(kind, data)


def read_document(url: str, name: str, path: str) -> Image | File:
    """Read a file, a data URL, as what the model takes it for: a PDF, an image, or text."""
    label, data = _data_url(url, path)
    return inline_document(label, data, name, path)


def inline_document(label: str, data: str, name: str, path: str) -> Image | File:
    """Read a file that is base64 ``data``; what is labelled as text is text, the rest what its bytes say."""
    data = canonical(data, path)
    kind = kind_of(data)
    if kind in IMAGE_TYPES:
        return Image(kind, data)
    if kind == PDF:
        return File(PDF, data, name)
    if label.startswith("text/") or label in _TEXT_TYPES:
        return File("text/plain", _checked_text(data, path), name)

    raise no_document(data, label, path)


def _checked_text(data: str, path: str) -> str:
    try:
        base64.b64decode(data).decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path}: not base64 of UTF-8 text: {error}", param=path) from error
    return data


def _data_url(url: str, path: str) -> tuple[str, str]:
    """Split a data URL into its label, in lower case and without parameters, and its base64 (RFC 2397)."""
    header = _DATA_URL.match(url)
    if header is None:
        raise InvalidRequest(f"{path} must be a data URL (data:TYPE;base64,DATA) or an https URL", param=path)

    label, data = header["type"].strip().lower(), url[header.end() :]
    parameters = [parameter.strip().lower() for parameter in header["parameters"].split(";")]
    if "base64" not in parameters:  # then it is written as URLs are
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    elif "%" in data:
        data = unquote_to_bytes(data).decode("latin-1")
    return label, data
