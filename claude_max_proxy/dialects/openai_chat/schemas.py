"""The wire format of ``POST /v1/chat/completions``, as OpenAI publishes it: typed structs, nothing else.

Unknown fields are left out and named, since clients send their own and the API grows; unknown roles, part
types and wrong types are errors. ``None`` stands for both "absent" and ``null``, as the API treats them
alike.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from claude_max_proxy import wire


NonNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]


class ImageUrl(wire.Schema):
    """Where an image is: a data URL or an https URL."""

    url: str
    detail: str | None = None


class FileData(wire.Schema):
    """A file, inline as a data URL; stored files (``file_id``) live with OpenAI and cannot be had."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class AudioData(wire.Schema):
    """Base64 audio."""

    data: str
    format: str


class TextPart(wire.Schema, tag="text"):
    """Text."""

    text: str


class ImagePart(wire.Schema, tag="image_url"):
    """An image."""

    image_url: ImageUrl


class FilePart(wire.Schema, tag="file"):
    """A document."""

    file: FileData


class AudioPart(wire.Schema, tag="input_audio"):
    """Speech."""

    input_audio: AudioData


class RefusalPart(wire.Schema, tag="refusal"):
    """What the assistant said instead of an answer."""

    refusal: str


ContentPart = TextPart | ImagePart | FilePart | AudioPart | RefusalPart
Content = str | list[ContentPart] | None


class FunctionCall(wire.Schema):
    """A call: ``arguments`` is JSON text."""

    name: str
    arguments: str = ""


class ToolCallEntry(wire.Schema):
    """One entry of an assistant message's ``tool_calls``; ``index`` is left from when it was streamed."""

    function: FunctionCall
    id: str = ""
    type: Literal["function"] = "function"
    index: int | None = None


class SystemMessage(wire.Schema, tag_field="role", tag="system"):
    """Instructions."""

    content: Content = None
    name: str | None = None


class DeveloperMessage(wire.Schema, tag_field="role", tag="developer"):
    """Instructions, under their newer name."""

    content: Content = None
    name: str | None = None


class UserMessage(wire.Schema, tag_field="role", tag="user"):
    """What the user says."""

    content: Content = None
    name: str | None = None


class AssistantMessage(wire.Schema, tag_field="role", tag="assistant"):
    """What the model said, handed back by the client."""

    content: Content = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallEntry] | None = None
    function_call: FunctionCall | None = None


class ToolMessage(wire.Schema, tag_field="role", tag="tool"):
    """What a tool answered."""

    tool_call_id: str
    content: Content = None
    name: str | None = None


class FunctionMessage(wire.Schema, tag_field="role", tag="function"):
    """What a function answered, in the API's first form of tools."""

    name: str
    content: str | None = None


ChatMessage = (
    SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage
)


class FunctionDefinition(wire.Schema):
    """A function that the model may call; ``parameters`` is a JSON schema."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(wire.Schema, tag="function"):
    """A function as a tool."""

    function: FunctionDefinition


class CustomTool(wire.Schema, tag="custom"):
    """A tool with free-form input, which the Messages API does not have."""

    custom: dict[str, Any]


class FunctionName(wire.Schema):
    """Names one function."""

    name: str


class NamedTool(wire.Schema):
    """Names one tool; one that takes free text (``custom``) is none that can be called here."""

    function: FunctionName
    type: Literal["function"] = "function"


class AllowedTools(wire.Schema):
    """The tools that may be called, of those that are offered, and whether one must be."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], msgspec.Meta(min_length=1)]


class ToolChoiceObject(wire.Schema):
    """Asks for one tool by name, or allows some."""

    type: Literal["function", "allowed_tools"] = "function"
    function: FunctionName | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(wire.Schema):
    """The schema of a structured answer."""

    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class TextFormat(wire.Schema, tag="text"):
    """Plain text, the default."""


class JsonObjectFormat(wire.Schema, tag="json_object"):
    """Any JSON object."""


class JsonSchemaFormat(wire.Schema, tag="json_schema"):
    """JSON of one schema."""

    json_schema: JsonSchema


class StreamOptions(wire.Schema):
    """How to stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatCompletionRequest(wire.Schema):
    """The whole body."""

    model: Annotated[str, msgspec.Meta(min_length=1)]
    messages: Annotated[list[ChatMessage], msgspec.Meta(min_length=1)]
    audio: dict[str, Any] | None = None
    frequency_penalty: Penalty | None = None
    function_call: Literal["none", "auto"] | FunctionName | None = None
    functions: list[FunctionDefinition] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    max_completion_tokens: Positive | None = None
    max_tokens: Positive | None = None
    metadata: dict[str, Any] | None = None
    modalities: list[str] | None = None
    n: Positive | None = None
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    presence_penalty: Penalty | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: str | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    tool_choice: Literal["none", "auto", "required"] | ToolChoiceObject | None = None
    tools: list[FunctionTool | CustomTool] | None = None
    top_logprobs: NonNegative | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: dict[str, Any] | None = None
