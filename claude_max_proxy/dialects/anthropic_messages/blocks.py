"""Content blocks, as Anthropic publishes them. Their marks for the cache have no effect here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from claude_max_proxy import wire


Id = Annotated[str, msgspec.Meta(min_length=1)]


class Block(wire.Schema, kw_only=True):
    """What every block may carry."""

    cache_control: dict[str, Any] | None = None


class Base64Source(wire.Schema, tag="base64"):
    """Content inline."""

    media_type: str
    data: str


class UrlSource(wire.Schema, tag="url"):
    """Content for the provider to fetch."""

    url: str


class FileSource(wire.Schema, tag="file"):
    """Content that was stored with the provider before."""

    file_id: str


class TextSource(wire.Schema, tag="text"):
    """A document that is plain text."""

    data: str
    media_type: str | None = None


class TextBlock(Block, tag="text"):
    """Text; ``citations`` are what an answer quoted."""

    text: str
    citations: list[Any] | None = None


class OnlyText(Block):
    """Text where nothing else can stand: no tag, which would be taken for granted where there is one kind."""

    type: Literal["text"]
    text: str


class ImageBlock(Block, tag="image"):
    """An image."""

    source: Base64Source | UrlSource | FileSource


class ContentSource(wire.Schema, tag="content"):
    """A document that is content of its own."""

    content: str | list[TextBlock | ImageBlock]


class Citations(wire.Schema):
    """Whether the answer should quote a document."""

    enabled: bool | None = None


class DocumentBlock(Block, tag="document"):
    """A document; ``context`` is about it, and not of it."""

    source: Base64Source | UrlSource | FileSource | TextSource | ContentSource
    title: str | None = None
    context: str | None = None
    citations: Citations | None = None


class SearchResultBlock(Block, tag="search_result"):
    """Something that a search of the client's found."""

    source: str
    title: str
    content: list[OnlyText]
    citations: Citations | None = None


class ToolReferenceBlock(Block, tag="tool_reference"):
    """A tool that a search for tools found; all tools are the model's from the start here."""

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


class ThinkingBlock(wire.Schema, tag="thinking"):
    """A thought of the model's; empty ``signature`` where another provider's model had it."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(wire.Schema, tag="redacted_thinking"):
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
