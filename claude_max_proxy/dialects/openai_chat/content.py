"""The content of chat messages, read into parts; every refusal names the path of the part."""

from __future__ import annotations

import base64
import re

from claude_max_proxy import Audio, File, Image, InvalidRequest, Part, Text
from claude_max_proxy.dialects.openai_chat.schemas import (
    AudioPart,
    Content,
    ContentPart,
    FilePart,
    ImagePart,
    RefusalPart,
    TextPart,
)


IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/toml"})
_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?:;[^;,]*)*?;base64,", re.ASCII)
_HEADER_LIMIT = 256


def read_parts(content: Content, path: str) -> list[Part]:
    """Read a user's or a tool's content, part by part: text, images, speech, documents."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]

    return [_part(part, f"{path}[{index}]") for index, part in enumerate(content)]


def read_text(content: Content, path: str, role: str) -> list[str]:
    """Read content that may only be text, as instructions and the assistant's own words are."""
    texts = []
    for index, part in enumerate([TextPart(content)] if isinstance(content, str) else content or []):
        match part:
            case TextPart():
                texts.append(part.text)
            case RefusalPart():
                texts.append(part.refusal)
            case _:
                raise InvalidRequest(
                    f"{path}[{index}]: a message of role {role!r} may hold only text",
                    param=f"{path}[{index}].type",
                )
    return texts


def _part(part: ContentPart, path: str) -> Part:
    match part:
        case TextPart():
            return Text(part.text)
        case RefusalPart():
            return Text(part.refusal)
        case ImagePart():
            return _image(part.image_url.url, f"{path}.image_url.url")
        case FilePart():
            return _file(part, f"{path}.file")
        case AudioPart():
            return Audio(part.input_audio.data, part.input_audio.format)


def _image(url: str, path: str) -> Image:
    """Read an image; one by URL is passed on as such, for the provider to fetch, never for us."""
    if url.startswith(("https://", "http://")):
        return Image(url=url)

    media_type, data = _data_url(url, path)
    if media_type not in IMAGE_TYPES:
        raise InvalidRequest(f"{path}: images must be PNG, JPEG, GIF or WebP, not {media_type}", param=path)
    return Image(media_type, data)


def _file(part: FilePart, path: str) -> Part:
    if part.file.file_id is not None:
        raise InvalidRequest(
            f"{path}.file_id: stored files live with their provider; send the file inline as file_data",
            param=f"{path}.file_id",
            code="unsupported_content",
        )
    if part.file.file_data is None:
        raise InvalidRequest(f"{path}.file_data is missing", param=f"{path}.file_data")

    return _document(part.file.file_data, part.file.filename or "", f"{path}.file_data")


def _document(url: str, name: str, path: str) -> Part:
    """Read a file as what the model takes it for: a PDF, an image, or text."""
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
