"""The content blocks that Anthropic documents. Their marks for the prompt cache have no effect here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from claude_max_proxy import formats


Id = Annotated[str, msgspec.Meta(min_length=1)]


class Block(formats.Schema, kw_only=True):
    """The fields that every block may have."""

    cache_control: dict[str, Any] | None = None


class Base64Source(formats.Schema, tag="base64"):
    """Inline content."""

    media_type: str
    data: str


class UrlSource(formats.Schema, tag="url"):
    """Content that the provider fetches."""

    url: str


class FileSource(formats.Schema, tag="file"):
    """Content that the client has stored with the provider."""

    file_id: str


class TextSource(formats.Schema, tag="text"):
    """A document of plain text."""

    data: str
    media_type: str | None = None


class TextBlock(Block, tag="text"):
    """Text; ``citations`` are the quotations in an answer."""

    text: str
    citations: list[Any] | None = None


class OnlyText(Block):
    """Text where nothing else is allowed; with only one kind of block, the tag would be optional."""

    type: Literal["text"]
    text: str


class ImageBlock(Block, tag="image"):
    """An image."""

    source: Base64Source | UrlSource | FileSource


class ContentSource(formats.Schema, tag="content"):
    """A document that consists of content blocks."""

    content: str | list[TextBlock | ImageBlock]


class Citations(formats.Schema):
    """Whether the answer should quote the document."""

    enabled: bool | None = None


class DocumentBlock(Block, tag="document"):
    """A document; ``context`` is information about it that does not belong to it."""

    source: Base64Source | UrlSource | FileSource | TextSource | ContentSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class SearchResultBlock(Block, tag="search_result"):
    """A result of a search by the client."""

    source: str
    title: str
    content: list[OnlyText]
    citations: Citations | None = None


class ToolReferenceBlock(Block, tag="tool_reference"):
    """A tool that a search for tools has found; here, the model knows all tools from the beginning."""

    tool_name: str


class ToolUseBlock(Block, tag="tool_use"):
    """The model's call of a tool."""

    id: Id
    name: str
    input: dict[str, Any]
    caller: dict[str, Any] | None = None


ResultContent = TextBlock | ImageBlock | DocumentBlock | SearchResultBlock | ToolReferenceBlock


class ToolResultBlock(Block, tag="tool_result"):
    """What the client's tool answered."""

    tool_use_id: Id
    content: str | list[ResultContent] | None = None
    is_error: bool | None = None


class ThinkingBlock(formats.Schema, tag="thinking"):
    """A thought of the model; its ``signature`` is empty if it comes from another provider's model."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(formats.Schema, tag="redacted_thinking"):
    """A thought whose text the provider hides."""

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
