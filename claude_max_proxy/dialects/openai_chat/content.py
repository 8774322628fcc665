"""Reads the content of chat messages into parts; every refusal names the path of the part."""

from __future__ import annotations

from claude_max_proxy import Audio, InvalidRequest, Part, Text, formats
from claude_max_proxy.dialects.openai_chat.schemas import (
    AudioPart,
    Content,
    ContentPart,
    FilePart,
    ImagePart,
    RefusalPart,
    TextPart,
)


def read_parts(content: Content, path: str) -> list[Part]:
    """Return the content of a user's or a tool's message as parts: text, images, sound and documents."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]

    return [_part(part, f"{path}[{index}]") for index, part in enumerate(content)]


def has_spare_id(content: Content) -> bool:
    """Return whether a part names a stored file although it has it inline."""
    parts = content if isinstance(content, list) else []
    return any(isinstance(part, FilePart) and part.file.file_id is not None for part in parts)


def read_text(content: Content, path: str, role: str) -> list[str]:
    """Return the texts of content that may only be text: of instructions, or of the assistant's messages."""
    texts = []
    for index, part in enumerate([TextPart(content)] if isinstance(content, str) else content or []):
        match part:
            case TextPart():
                texts.append(part.text)
            case RefusalPart():
                texts.append(part.refusal)
            case _:
                raise formats.not_text(f"{path}[{index}]", role)
    return texts


def _part(part: ContentPart, path: str) -> Part:
    match part:
        case TextPart():
            return Text(part.text)
        case RefusalPart():
            return Text(part.refusal)
        case ImagePart():
            return formats.read_image(part.image_url.url, f"{path}.image_url.url")
        case FilePart():
            return _file(part, f"{path}.file")
        case AudioPart():
            return Audio(part.input_audio.data, part.input_audio.format)


def _file(part: FilePart, path: str) -> Part:
    if part.file.file_id is not None and part.file.file_data is None:
        raise InvalidRequest.at(
            f"{path}.file_id",
            "stored files live with their provider; send the file inline as file_data",
            code="unsupported_content",
        )
    if part.file.file_data is None:
        raise InvalidRequest.missing(f"{path}.file_data")

    return formats.read_document(part.file.file_data, part.file.filename or "", f"{path}.file_data")
