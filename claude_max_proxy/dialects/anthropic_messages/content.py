"""Reads content blocks into parts; every refusal names the path of the block."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import msgspec

from claude_max_proxy import (
    File,
    Image,
    InvalidRequest,
    Part,
    Reasoning,
    Request,
    Text,
    ToolCall,
    ToolResult,
    formats,
)
from claude_max_proxy.dialects.anthropic_messages.blocks import (
    Base64Source,
    ContentBlock,
    ContentSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RedactedThinkingBlock,
    ResultContent,
    SearchResultBlock,
    TextBlock,
    TextSource,
    ThinkingBlock,
    ToolReferenceBlock,
    ToolResultBlock,
    ToolUseBlock,
    UrlSource,
)


# The key in ``Request.state`` for the names of the tools that a search has found so far.
FOUND_TOOLS = "anthropic_messages.found_tools"
_ASSISTANTS = (ToolUseBlock, ThinkingBlock, RedactedThinkingBlock)


def read_content(content: str | Sequence[ContentBlock], role: str, path: str, request: Request) -> list[Part]:
    """Return a message's content as parts; ``request`` gets the names of what has no effect.

    Raises :class:`InvalidRequest` with the path of what cannot be read.
    """
    if isinstance(content, str):
        return [Text(content)]

    parts: list[Part] = []
    for index, block in enumerate(content):
        where = f"{path}[{index}]"
        if role == "assistant":
            parts.append(_assistant(block, where))
        elif isinstance(block, _ASSISTANTS):
            raise _misplaced(block, where, role)
        elif isinstance(block, ToolResultBlock):
            parts.append(_result(block, where, request))
        else:
            parts += _shown(block, where, request)
    return parts


def _assistant(block: ContentBlock, path: str) -> Part:
    match block:
        case TextBlock(text=text):
            return Text(text)
        case ToolUseBlock():
            return ToolCall(block.id, block.name, msgspec.json.encode(block.input).decode())
        case ThinkingBlock():
            return Reasoning(block.thinking, block.signature)
        case RedactedThinkingBlock(data=data):
            return Reasoning("", data, redacted=True)
        case _:
            raise _misplaced(block, path, "assistant")


def _result(block: ToolResultBlock, path: str, request: Request) -> ToolResult:
    content = [TextBlock(block.content)] if isinstance(block.content, str) else block.content or []
    parts: list[Text | Image | File] = []
    for index, inner in enumerate(content):
        parts += _shown(inner, f"{path}.content[{index}]", request)
    return ToolResult(block.tool_use_id, tuple(parts), bool(block.is_error))


def _shown(block: ContentBlock | ResultContent, path: str, request: Request) -> list[Text | Image | File]:
    """Return the parts of a block that may be in a user's message or in a tool's result."""
    match block:
        case TextBlock(text=text):
            return [Text(text)]
        case ImageBlock():
            return [_image(block, path)]
        case DocumentBlock():
            if block.citations and block.citations.enabled:
                request.ignore("citations")
            about = [Text(block.context)] if block.context else []
            return [*about, _document(block, f"{path}.source")]
        case SearchResultBlock():
            if block.citations and block.citations.enabled:
                request.ignore("citations")
            found = "\n\n".join(inner.text for inner in block.content)
            return [Text(f"{block.title}\n{block.source}\n\n{found}")]
        case ToolReferenceBlock(tool_name=name):
            request.state.setdefault(FOUND_TOOLS, set()).add(name)
            return [Text(f"The tool {name} is there to be called.")]
        case _:
            raise _misplaced(block, path, "user")


def _image(block: ImageBlock, path: str) -> Image:
    match block.source:
        case UrlSource(url=url):
            where = f"{path}.source.url"
            if url.startswith("http://"):
                raise InvalidRequest.at(where, "the provider fetches images by https only")
            return formats.read_image(url, where)
        case FileSource():
            raise _stored(f"{path}.source")
        case Base64Source(media_type=media_type, data=data):
            return formats.inline_image(media_type, data, f"{path}.source.data")


def _document(block: DocumentBlock, path: str) -> Image | File:
    name = block.title or ""
    match block.source:
        case UrlSource(url=url):
            if not url.startswith("https://"):
                raise InvalidRequest.at(f"{path}.url", "the provider fetches documents by https only")
            return File("application/pdf", name=name, url=url)
        case FileSource():
            raise _stored(path)
        case TextSource(data=text):
            return _plain(text, name)
        case ContentSource(content=content):
            texts = [TextBlock(content)] if isinstance(content, str) else content
            if any(isinstance(inner, ImageBlock) for inner in texts):
                raise InvalidRequest.at(
                    f"{path}.content",
                    "a document's content may only be text here; send images next to it",
                    code="unsupported_content",
                )
            return _plain("\n".join(inner.text for inner in texts if isinstance(inner, TextBlock)), name)
        case Base64Source(media_type=media_type, data=data):
            return formats.inline_document(media_type.lower(), data, name, f"{path}.data")


def _plain(text: str, name: str) -> File:
    return File("text/plain", base64.b64encode(text.encode()).decode(), name)


def _stored(path: str) -> InvalidRequest:
    return InvalidRequest.at(
        f"{path}.file_id",
        "stored files live with their provider; send the file inline",
        code="unsupported_content",
    )


def _misplaced(block: ContentBlock | ResultContent, path: str, role: str) -> InvalidRequest:
    kind = block.__struct_config__.tag
    return InvalidRequest.at(f"{path}.type", f"a message of role {role!r} may hold no {kind!r} block")
