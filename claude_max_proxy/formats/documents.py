"""Reads images and files in requests: data URLs, base64 with a label, and web URLs of images."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote_to_bytes

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.formats.media import IMAGE_TYPES, PDF, canonical, kind_of, no_document, no_image
from claude_max_proxy.request import File, Image


_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/toml"})
_DATA_URL = re.compile(
    r"\s*data:(?P<type>[^;,]{0,100})(?P<parameters>(?:;[^;,]{0,100}){0,10}),", re.IGNORECASE
)
_MOST_ESCAPES = 1_000_000
_WEB_URL = re.compile(r"\s*https?://", re.IGNORECASE)


def read_image(url: str, path: str) -> Image:
    """Return an image for its URL. A web URL is passed on for the provider to fetch; we never fetch it.

    ``path`` is the URL's place in the request. Raises :class:`InvalidRequest` for a data URL that is no
    image.
    """
    if _WEB_URL.match(url):
        return Image(url=url.strip())

    label, data = _data_url(url, path)
    return inline_image(label, data, path)


def inline_image(label: str, data: str, path: str) -> Image:
    """Return an image for its base64 ``data``; its bytes decide what kind it is, not its ``label``.

    Raises :class:`InvalidRequest` for what is no image that a model accepts.
    """
    data = canonical(data, path)
    kind = kind_of(data)
    if kind not in IMAGE_TYPES:
        raise no_image(data, label, path)
    return Image(kind, data)


def read_document(url: str, name: str, path: str) -> Image | File:
    """Return a file for its data URL, in the form that the model accepts: a PDF, an image, or text.

    Raises :class:`InvalidRequest` for anything else.
    """
    label, data = _data_url(url, path)
    return inline_document(label, data, name, path)


def inline_document(label: str, data: str, name: str, path: str) -> Image | File:
    """Return a file for its base64 ``data``: a PDF or an image by its bytes, otherwise text by its ``label``.

    Raises :class:`InvalidRequest` for anything else.
    """
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
        raise InvalidRequest.at(path, f"not base64 of UTF-8 text: {error}") from error
    return data


def _data_url(url: str, path: str) -> tuple[str, str]:
    """Split a data URL into its label, in lower case and without parameters, and its base64 (RFC 2397)."""
    header = _DATA_URL.match(url)
    if header is None:
        raise InvalidRequest(f"{path} must be a data URL (data:TYPE;base64,DATA) or an https URL", param=path)

    label, data = header["type"].strip().lower(), url[header.end() :]
    parameters = [parameter.strip().lower() for parameter in header["parameters"].split(";")]
    if data.count("%") > _MOST_ESCAPES:
        raise InvalidRequest.at(path, "this is too long for a URL's own escapes; send base64")
    if "base64" not in parameters:  # then it is percent-encoded
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    elif "%" in data:
        data = unquote_to_bytes(data).decode("latin-1")
    return label, data
