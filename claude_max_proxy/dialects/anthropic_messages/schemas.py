"""The body of ``POST /v1/messages``, as Anthropic documents it; :mod:`blocks` has its content.

Unknown fields are ignored and named to the client, since clients send additional ones and the API grows.
Wrong types are errors. ``None`` stands both for a missing value and for ``null``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from claude_max_proxy import formats
from claude_max_proxy.dialects.anthropic_messages.blocks import ContentBlock, OnlyText


Positive = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
EffortName = Literal["low", "medium", "high", "xhigh", "max"]


class WireMessage(formats.Schema):
    """One turn or, in newer versions of the API, instructions in the middle of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[ContentBlock]


class WireTool(msgspec.Struct):
    """A tool: one of the client's, with an ``input_schema``, or one of Anthropic's, named by its ``type``."""

    name: Name
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None


class AutoChoice(formats.Schema, tag="auto"):
    """The model decides."""

    disable_parallel_tool_use: bool | None = None


class AnyChoice(formats.Schema, tag="any"):
    """The model must call a tool."""

    disable_parallel_tool_use: bool | None = None


class NamedChoice(formats.Schema, tag="tool"):
    """The model must call this tool."""

    name: str
    disable_parallel_tool_use: bool | None = None


class NoChoice(formats.Schema, tag="none"):
    """The model must not call a tool."""


class EnabledThinking(formats.Schema, tag="enabled", omit_defaults=True):
    """Thinking with a budget of tokens."""

    budget_tokens: Annotated[int, msgspec.Meta(ge=1024)]
    display: str | None = None


class AdaptiveThinking(formats.Schema, tag="adaptive", omit_defaults=True):
    """Thinking for as long as the model decides."""

    display: str | None = None
    block_binding: dict[str, Any] | None = None


class DisabledThinking(formats.Schema, tag="disabled"):
    """No thinking."""


class JsonSchemaFormat(formats.Schema):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(formats.Schema):
    """The effort and the format of the answer."""

    effort: EffortName | None = None
    format: JsonSchemaFormat | None = None


class Metadata(formats.Schema):
    """Who sends the request, in the client's own terms."""

    user_id: str | None = None


class CountRequest(formats.Schema):
    """The body of ``POST /v1/messages/count_tokens``: the input of the model."""

    model: formats.ModelName
    messages: Annotated[list[WireMessage], msgspec.Meta(min_length=1)]
    cache_control: dict[str, Any] | None = None
    container: Any = None
    context_management: dict[str, Any] | None = None
    mcp_servers: list[Any] | None = None
    output_config: OutputConfig | None = None
    output_format: JsonSchemaFormat | None = None
    system: str | list[OnlyText] | None = None
    thinking: EnabledThinking | AdaptiveThinking | DisabledThinking | None = None
    thread: dict[str, Any] | None = None
    tool_choice: AutoChoice | AnyChoice | NamedChoice | NoChoice | None = None
    tools: list[dict[str, Any]] | None = None


class MessagesRequest(CountRequest, kw_only=True):
    """The whole body."""

    max_tokens: Positive
    metadata: Metadata | None = None
    service_tier: str | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
