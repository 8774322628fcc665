"""Content blocks, as Anthropic publishes them. ``cache_control`` on them is tolerated and not looked at."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec


Id = Annotated[str, msgspec.Meta(min_length=1)]


class Base64Source(msgspec.Struct, tag="base64"):
    """Content inline."""

    media_type: str
    data: str


class UrlSource(msgspec.Struct, tag="url"):
    """Content for the provider to fetch."""

    url: str


class FileSource(msgspec.Struct, tag="file"):
    """Content that was stored with the provider before."""

    file_id: str


class TextSource(msgspec.Struct, tag="text"):
    """A document that is plain text."""

    data: str


class TextBlock(msgspec.Struct, tag="text"):
    """Text."""

    text: str


class OnlyText(msgspec.Struct):
    """Text where nothing else can stand: no tag, which would be taken for granted where there is one kind."""

    type: Literal["text"]
    text: str


class ImageBlock(msgspec.Struct, tag="image"):
    """An image."""

    source: Base64Source | UrlSource | FileSource


class ContentSource(msgspec.Struct, tag="content"):
    """A document that is content of its own."""

    content: str | list[TextBlock | ImageBlock]


class Citations(msgspec.Struct):
    """Whether the answer should quote a document."""

    enabled: bool | None = None


class DocumentBlock(msgspec.Struct, tag="document"):
    """A document; ``context`` is about it, and not of it."""

    source: Base64Source | UrlSource | FileSource | TextSource | ContentSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class SearchResultBlock(msgspec.Struct, tag="search_result"):
    """Something that a search of the client's found."""

    source: str
    title: str
    content: list[OnlyText]
    citations: Citations | None = None


class ToolReferenceBlock(msgspec.Struct, tag="tool_reference"):
    """A tool that a search for tools found; all tools are the model's from the start here."""

    tool_name: str


class ToolUseBlock(msgspec.Struct, tag="tool_use"):
    """The model's call of a tool."""

    id: Id
    name: str
    input: dict[str, Any]


ResultContent = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ToolReferenceBlock


class ToolResultBlock(msgspec.Struct, tag="tool_result"):
    """What the client's tool answered."""

    tool_use_id: Id
    content: str | list[ResultContent] | None = None
    is_error: bool | None = None


class ThinkingBlock(msgspec.Struct, tag="thinking"):
    """A thought of the model's; empty ``signature`` where another provider's model had it."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(msgspec.Struct, tag="redacted_thinking"):
    """A thought that nobody may read."""

    data: str


ContentBlock = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ToolReferenceBlock
    | ToolUseBlock
    | ToolResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
)
