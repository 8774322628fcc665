"""The body of ``POST /v1/chat/completions``, as OpenAI documents it, as typed structs.

Unknown fields are ignored and named to the client, since clients send additional ones and the API grows.
Unknown roles, unknown kinds of parts and wrong types are errors. ``None`` stands both for a missing value and
for ``null``, which mean the same to the API.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from claude_max_proxy import formats


NonNegative = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Answers = Annotated[int, msgspec.Meta(ge=1, le=128)]
Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)]


class ImageUrl(formats.Schema):
    """The URL of an image: a data URL or an https URL."""

    url: str
    detail: str | None = None


class FileData(formats.Schema):
    """An inline file, as a data URL. Files stored with OpenAI (``file_id``) are not available here."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class AudioData(formats.Schema):
    """Sound in base64."""

    data: str
    format: str


class TextPart(formats.Schema, tag="text"):
    """Text."""

    text: str


class ImagePart(formats.Schema, tag="image_url"):
    """An image."""

    image_url: ImageUrl


class FilePart(formats.Schema, tag="file"):
    """A document."""

    file: FileData


class AudioPart(formats.Schema, tag="input_audio"):
    """Sound."""

    input_audio: AudioData


class RefusalPart(formats.Schema, tag="refusal"):
    """What the assistant said instead of an answer."""

    refusal: str


ContentPart = TextPart | ImagePart | FilePart | AudioPart | RefusalPart
Content = str | list[ContentPart] | None


class FunctionCall(formats.Schema):
    """A call: ``arguments`` is JSON text."""

    name: str
    arguments: str = ""


class ToolCallEntry(formats.Schema):
    """A call in an assistant message; ``index`` is left over from the stream."""

    function: FunctionCall
    id: str = ""
    type: Literal["function"] = "function"
    index: int | None = None


class SystemMessage(formats.Schema, tag_field="role", tag="system"):
    """Instructions."""

    content: Content = None
    name: str | None = None


class DeveloperMessage(formats.Schema, tag_field="role", tag="developer"):
    """Instructions, by the newer name of the role."""

    content: Content = None
    name: str | None = None


class UserMessage(formats.Schema, tag_field="role", tag="user"):
    """What the user says."""

    content: Content = None
    name: str | None = None


class AssistantMessage(formats.Schema, tag_field="role", tag="assistant"):
    """What the model said, sent back by the client."""

    content: Content = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallEntry] | None = None
    function_call: FunctionCall | None = None


class ToolMessage(formats.Schema, tag_field="role", tag="tool"):
    """What a tool answered."""

    tool_call_id: str
    content: Content = None
    name: str | None = None


class FunctionMessage(formats.Schema, tag_field="role", tag="function"):
    """What a function answered, in the API's first form of tools."""

    name: str
    content: str | None = None


ChatMessage = (
    SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage
)


class FunctionDefinition(formats.Schema):
    """A function that the model may call; ``parameters`` is a JSON schema."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(formats.Schema, tag="function"):
    """A function as a tool."""

    function: FunctionDefinition


class CustomTool(formats.Schema, tag="custom"):
    """A tool with free text as its input, which the Messages API does not have."""

    custom: dict[str, Any]


class FunctionName(formats.Schema):
    """Names one function."""

    name: str


class NamedTool(formats.Schema):
    """Names one tool; a tool with free text (``custom``) cannot be called here."""

    function: FunctionName
    type: Literal["function"] = "function"


class AllowedTools(formats.Schema):
    """Which of the offered tools may be called, and whether one must be."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedTool], msgspec.Meta(min_length=1)]


class ToolChoiceObject(formats.Schema):
    """Asks for one tool by name, or allows some."""

    type: Literal["function", "allowed_tools"] = "function"
    function: FunctionName | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(formats.Schema):
    """The schema of a structured answer."""

    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class TextFormat(formats.Schema, tag="text"):
    """Plain text, the default."""


class JsonObjectFormat(formats.Schema, tag="json_object"):
    """Any JSON object."""


class JsonSchemaFormat(formats.Schema, tag="json_schema"):
    """JSON that follows a schema."""

    json_schema: JsonSchema


class StreamOptions(formats.Schema):
    """Options for the stream."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatCompletionRequest(formats.Schema):
    """The whole body."""

    model: formats.ModelName
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
    n: Answers | None = None
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
