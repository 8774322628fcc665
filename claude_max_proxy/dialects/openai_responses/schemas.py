"""The body of ``POST /v1/responses``, as OpenAI documents it, as typed structs.

Unknown fields are ignored and named to the client, since clients send additional ones and the API grows.
Wrong types are errors. The entries of ``input`` and ``tools`` are checked one by one, see ``ITEMS`` and
``TOOLS``: the type of an item is optional, and kinds that we cannot serve get another error than kinds that
do not exist. ``None`` stands both for a missing value and for ``null``, which mean the same to the API.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from claude_max_proxy import formats


Name = Annotated[str, msgspec.Meta(min_length=1)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Raw = dict[str, Any]


# --- content


class InputText(formats.Schema, tag="input_text"):
    """Text of a user, of instructions, or of a tool."""

    text: str


class InputImage(formats.Schema, tag="input_image"):
    """An image: a data URL or an https URL. Files that are stored with OpenAI are not available here."""

    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None


class InputFile(formats.Schema, tag="input_file"):
    """An inline document, as a data URL."""

    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


class AudioData(formats.Schema):
    """Sound in base64."""

    data: str
    format: str


class InputAudio(formats.Schema, tag="input_audio"):
    """Sound."""

    input_audio: AudioData


class OutputText(formats.Schema, tag="output_text"):
    """What the model wrote, with further information about it."""

    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class Refusal(formats.Schema, tag="refusal"):
    """What the model said instead of an answer."""

    refusal: str


ContentPart = InputText | InputImage | InputFile | InputAudio | OutputText | Refusal
Content = str | list[ContentPart]


# --- items of ``input``


class OwnItem(formats.Schema, kw_only=True):
    """The fields that an item of an answer has in addition to its content when the client sends it back."""

    type: str | None = None
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class MessageItem(OwnItem):
    """A message."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Content


class FunctionCallItem(OwnItem):
    """A call that the model made; ``arguments`` is JSON text."""

    call_id: Name
    name: Name
    arguments: str = ""
    namespace: str | None = None


class CustomCallItem(OwnItem):
    """A call of a tool with free text."""

    call_id: Name
    name: Name
    input: str = ""
    namespace: str | None = None


class CallOutputItem(OwnItem):
    """What a tool of either kind answered."""

    call_id: Name
    output: Content


class ReasoningText(formats.Schema):
    """A piece of a thought."""

    text: str
    type: str | None = None


class ReasoningItem(OwnItem):
    """A thought; ``encrypted_content`` is written by us, see ``thoughts``."""

    summary: list[ReasoningText] | None = None
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None


class ReferenceItem(formats.Schema):
    """A reference to an item of an earlier response, by its id."""

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


class FunctionTool(formats.Schema):
    """A function; ``parameters`` is a JSON schema."""

    name: Name
    description: str | None = None
    parameters: Raw | None = None
    strict: bool | None = None
    type: str | None = None


class TextFormatOfTool(formats.Schema, tag="text"):
    """Any text."""


class Grammar(formats.Schema, tag="grammar"):
    """Text that follows a grammar."""

    definition: str
    syntax: str


class CustomTool(formats.Schema):
    """A tool with free text as its input."""

    name: Name
    description: str | None = None
    format: TextFormatOfTool | Grammar | None = None
    type: str | None = None


class NamespaceTool(formats.Schema):
    """Several tools with a common name before theirs."""

    name: Name
    tools: list[Raw]
    description: str | None = None
    type: str | None = None


TOOLS: dict[str, type[FunctionTool | CustomTool | NamespaceTool]] = {
    "function": FunctionTool,
    "custom": CustomTool,
    "namespace": NamespaceTool,
}


class ToolChoice(formats.Schema):
    """Asks for one tool by name, or allows some (``allowed_tools``)."""

    type: str
    name: str | None = None
    mode: Literal["auto", "required"] | None = None
    tools: list[Raw] | None = None


# --- the rest of the body


class PlainText(formats.Schema, tag="text"):
    """Plain text, the default."""


class JsonObject(formats.Schema, tag="json_object"):
    """Any JSON object."""


class JsonSchema(formats.Schema, tag="json_schema", omit_defaults=True):
    """JSON that follows a schema."""

    schema: Raw
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class TextOptions(formats.Schema):
    """The format of the answer's text."""

    format: PlainText | JsonObject | JsonSchema | None = None
    verbosity: str | None = None


class ReasoningOptions(formats.Schema):
    """How much the model thinks, and whether it is shown."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: str | None = None
    generate_summary: str | None = None


class ResponseRequest(formats.Schema):
    """The whole body."""

    model: formats.ModelName
    input: str | Annotated[list[Raw], msgspec.Meta(min_length=1)]
    background: bool | None = None
    client_metadata: Raw | None = None  # sent by Codex
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
