"""The content of chat messages, read into parts; every refusal names the path of the part."""

from __future__ import annotations

from claude_max_proxy import Audio, InvalidRequest, Part, Text, wire
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
            return wire.read_image(part.image_url.url, f"{path}.image_url.url")
        case FilePart():
            return _file(part, f"{path}.file")
        case AudioPart():
            return Audio(part.input_audio.data, part.input_audio.format)


def _file(part: FilePart, path: str) -> Part:
    if part.file.file_id is not None:
        raise InvalidRequest(
            f"{path}.file_id: stored files live with their provider; send the file inline as file_data",
            param=f"{path}.file_id",
            code="unsupported_content",
        )
    if part.file.file_data is None:
        raise InvalidRequest(f"{path}.file_data is missing", param=f"{path}.file_data")

    return wire.read_document(part.file.file_data, part.file.filename or "", f"{path}.file_data")
