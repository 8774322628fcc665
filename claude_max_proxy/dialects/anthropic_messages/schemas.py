"""The wire format of ``POST /v1/messages``, as Anthropic publishes it: the body, but for its content.

Unknown fields are left out and named, since clients send their own and the API grows; wrong types are
errors. ``None`` stands for both "absent" and ``null``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from claude_max_proxy import wire
from claude_max_proxy.dialects.anthropic_messages.blocks import ContentBlock, OnlyText


Positive = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
EffortName = Literal["low", "medium", "high", "xhigh", "max"]


class WireMessage(wire.Schema):
    """One turn, or, newly, instructions in the middle of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str | list[ContentBlock]


class WireTool(msgspec.Struct):
    """A tool: the client's own with an ``input_schema``, or one of Anthropic's, named by its ``type``."""

    name: Name
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None


class AutoChoice(wire.Schema, tag="auto"):
    """The model decides."""

    disable_parallel_tool_use: bool | None = None


class AnyChoice(wire.Schema, tag="any"):
    """The model must call a tool."""

    disable_parallel_tool_use: bool | None = None


class NamedChoice(wire.Schema, tag="tool"):
    """The model must call this tool."""

    name: str
    disable_parallel_tool_use: bool | None = None


class NoChoice(wire.Schema, tag="none"):
    """The model must call none."""


class EnabledThinking(wire.Schema, tag="enabled", omit_defaults=True):
    """Thinking of at most so many tokens."""

    budget_tokens: Annotated[int, msgspec.Meta(ge=1024)]
    display: str | None = None


class AdaptiveThinking(wire.Schema, tag="adaptive", omit_defaults=True):
    """Thinking for as long as the model finds right."""

    display: str | None = None
    block_binding: dict[str, Any] | None = None


class DisabledThinking(wire.Schema, tag="disabled"):
    """No thinking."""


class JsonSchemaFormat(wire.Schema):
    """JSON of one schema."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(wire.Schema):
    """How the answer is made."""

    effort: EffortName | None = None
    format: JsonSchemaFormat | None = None


class Metadata(wire.Schema):
    """Whose request it is, in the client's own terms."""

    user_id: str | None = None


class CountRequest(wire.Schema):
    """The body of ``POST /v1/messages/count_tokens``: what goes into the model."""

    model: Name
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
