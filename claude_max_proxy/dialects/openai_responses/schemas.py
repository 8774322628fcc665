"""The wire format of ``POST /v1/responses``, as OpenAI publishes it: typed structs, nothing else.

Unknown fields are left out and named, since clients send their own and the API grows; wrong types are
errors. The entries of ``input`` and ``tools`` are checked one by one, see ``ITEMS`` and ``TOOLS``: an item
may leave out its type, and kinds that cannot be served are told from those that do not exist. ``None``
stands for both "absent" and ``null``, as the API treats them alike.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from claude_max_proxy import wire


Name = Annotated[str, msgspec.Meta(min_length=1)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Raw = dict[str, Any]


# --- content


class InputText(wire.Schema, tag="input_text"):
    """Text of a user's, of instructions, or of a tool's."""

    text: str


class InputImage(wire.Schema, tag="input_image"):
    """An image: a data URL or an https URL; stored files live with OpenAI and cannot be had."""

    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class InputFile(wire.Schema, tag="input_file"):
    """A document, inline as a data URL."""

    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


class AudioData(wire.Schema):
    """Base64 audio."""

    data: str
    format: str


class InputAudio(wire.Schema, tag="input_audio"):
    """Speech."""

    input_audio: AudioData


class OutputText(wire.Schema, tag="output_text"):
    """What the model wrote, with what was about it."""

    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class Refusal(wire.Schema, tag="refusal"):
    """What the model said instead of an answer."""

    refusal: str


ContentPart = InputText | InputImage | InputFile | InputAudio | OutputText | Refusal
Content = str | list[ContentPart]


# --- items of ``input``


class OwnItem(wire.Schema, kw_only=True):
    """What an item that was given out brings back beside what it says."""

    type: str | None = None
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class MessageItem(OwnItem):
    """What somebody said."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Content


class FunctionCallItem(OwnItem):
    """A call that the model made; ``arguments`` is JSON text."""

    call_id: Name
    name: Name
    arguments: str = ""
    namespace: str | None = None


class CustomCallItem(OwnItem):
    """A call of a tool that takes free text."""

    call_id: Name
    name: Name
    input: str = ""
    namespace: str | None = None


class CallOutputItem(OwnItem):
    """What a tool answered, of either kind."""

    call_id: Name
    output: Content


class ReasoningText(wire.Schema):
    """A piece of a thought."""

    text: str
    type: str | None = None


class ReasoningItem(OwnItem):
    """A thought; ``encrypted_content`` is ours, see ``thoughts``."""

    summary: list[ReasoningText] | None = None
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class ReferenceItem(wire.Schema):
    """An item of an earlier response, by its id."""

    id: Name
    type: str | None = None


Item = MessageItem | FunctionCallItem | CustomCallItem | CallOutputItem | ReasoningItem | ReferenceItem
ITEMS: dict[str, type[Item]] = {
    "message": MessageItem,
    "function_call": FunctionCallItem,
    "function_call_output": CallOutputItem,
    "custom_tool_call": CustomCallItem,
    "custom_tool_call_output": CallOutputItem,
    "reasoning": ReasoningItem,
    "item_reference": ReferenceItem,
}


# --- tools


class FunctionTool(wire.Schema):
    """A function; ``parameters`` is a JSON schema."""

    name: Name
    description: str | None = None
    parameters: Raw | None = None
    strict: bool | None = None
    type: str | None = None


class TextFormatOfTool(wire.Schema, tag="text"):
    """Any text."""


class Grammar(wire.Schema, tag="grammar"):
    """Text of a grammar."""

    definition: str
    syntax: str


class CustomTool(wire.Schema):
    """A tool that takes free text."""

    name: Name
    description: str | None = None
    format: TextFormatOfTool | Grammar | None = None
    type: str | None = None


class NamespaceTool(wire.Schema):
    """Several tools under a name of their own."""

    name: Name
    tools: list[Raw]
    description: str | None = None
    type: str | None = None


TOOLS: dict[str, type[FunctionTool | CustomTool | NamespaceTool]] = {
    "function": FunctionTool,
    "custom": CustomTool,
    "namespace": NamespaceTool,
}


class ToolChoice(wire.Schema):
    """Asks for one tool by name, or allows some (``allowed_tools``)."""

    type: str
    name: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list[Raw] | None = None


# --- the rest of the body


class PlainText(wire.Schema, tag="text"):
    """Plain text, the default."""


class JsonObject(wire.Schema, tag="json_object"):
    """Any JSON object."""


class JsonSchema(wire.Schema, tag="json_schema", omit_defaults=True):
    """JSON of one schema."""

    schema: Raw
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class TextOptions(wire.Schema):
    """How the answer's text is written."""

    format: PlainText | JsonObject | JsonSchema | None = None
    verbosity: str | None = None


class ReasoningOptions(wire.Schema):
    """How much the model thinks, and whether it is shown."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: str | None = None
    generate_summary: str | None = None


class ResponseRequest(wire.Schema):
    """The whole body."""

    model: Name
    input: str | Annotated[list[Raw], msgspec.Meta(min_length=1)]
    background: bool | None = None
    client_metadata: Raw | None = None  # of Codex
    context_management: list[Raw] | None = None
    conversation: str | Raw | None = None
    include: list[str] | None = None
    instructions: str | None = None
    max_output_tokens: Positive | None = None
    max_tool_calls: Positive | None = None
    metadata: dict[str, str] | None = None
    moderation: Raw | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt: Raw | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning: ReasoningOptions | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: Raw | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    text: TextOptions | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoice | None = None
    tools: list[Raw] | None = None
    top_logprobs: Annotated[int, msgspec.Meta(ge=0)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None
