"""What is asked, in nobody's dialect: values only, no I/O, no wire format.

A dialect reads a client's API into a :class:`Request`; plugins may change it in place; a backend answers it.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Role = Literal["user", "assistant"]


class Text(msgspec.Struct, frozen=True, tag="text"):
    """Plain text, exactly as written."""

    text: str


class Image(msgspec.Struct, frozen=True, tag="image"):
    """An image: either ``data`` (base64, with ``media_type``) or the ``url`` of one."""

    media_type: str = ""
    data: str = ""
    url: str = ""


class Audio(msgspec.Struct, frozen=True, tag="audio"):
    """Speech: base64 ``data`` in a ``format`` such as "wav" or "mp3"."""

    data: str
    format: str


class File(msgspec.Struct, frozen=True, tag="file"):
    """A document: base64 ``data`` of ``media_type``, or its ``url``, under the client's own ``name``."""

    media_type: str = ""
    data: str = ""
    name: str = ""
    url: str = ""


class Reasoning(msgspec.Struct, frozen=True, tag="reasoning"):
    """What the model thought before it answered, as the client hands it back.

    ``signature`` is the provider's opaque proof that the thought is the model's own; of a ``redacted``
    thought it is all there is.
    """

    text: str
    signature: str = ""
    redacted: bool = False


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call"):
    """The model's call of a tool; ``arguments`` is JSON text, ``{}`` when there are none."""

    id: str
    name: str
    arguments: str


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result"):
    """What the client's tool answered to the call ``id``."""

    id: str
    parts: tuple[Text | Image | File, ...]
    is_error: bool = False


Part = Text | Image | Audio | File | Reasoning | ToolCall | ToolResult


class Message(msgspec.Struct):
    """One turn of the conversation.

    ``ephemeral`` marks a message that the client will not repeat at this place in its next request: the
    model sees it, and it is left out when a live conversation is recognised.
    """

    role: Role
    parts: list[Part]
    ephemeral: bool = False


class Tool(msgspec.Struct, frozen=True):
    """A tool of the client's, as it was written.

    ``parameters`` is a JSON schema. ``None`` stands for what the client did not say. ``fields`` are further
    fields of the definition that only the Messages API knows, such as ``cache_control``. ``path`` is where
    the tool stands in the client's request, for errors.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    path: str = ""


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether the model may, must or must not call tools; ``name`` when it must call that one."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str = ""
    parallel: bool = True


class ResponseFormat(msgspec.Struct, frozen=True):
    """What a client says of ``Request.response_schema`` beside the schema itself.

    ``path`` is where the schema stands in the client's request, for errors.
    """

    name: str = ""
    description: str = ""
    strict: bool | None = None
    path: str = "response_format.json_schema.schema"


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lets the backend's own agent work for an answer, with its own tools. Only ``[models]`` can set it.

    ``tools`` are the agent's tools by name, ``allow`` the rules of what they may do (all of ``tools`` unless
    said otherwise), ``directory`` where they work. ``settings`` names the agent's own settings that apply.
    """

    tools: tuple[str, ...]
    directory: str
    allow: tuple[str, ...] = ()
    permission_mode: Literal["dontAsk", "default", "acceptEdits", "plan"] = "dontAsk"
    settings: tuple[Literal["user", "project", "local"], ...] = ()


class Client(msgspec.Struct, frozen=True):
    """Who asks: the name of the API key used, the program as it names itself, and its address.

    ``session`` is the client's own word for the conversation, a hint and never a proof. A dialect sets it
    where its API has a place for it; what the headers say of it comes first.
    """

    key: str = ""
    program: str = ""
    address: str = ""
    session: str = ""


class Request(msgspec.Struct):
    """One question to a model. Mutable: a plugin changes it in place.

    ``model`` is the name as the client asked for it and is echoed in the answer. ``state`` is a dict for
    plugins to pass things along; ``extra`` holds what has no place here, by its documented name, for backends
    that honour it; ``ignored`` names what was accepted and not honoured, and is told to the client in
    ``x-proxy-ignored``.
    """

    model: str
    system: str = ""
    messages: list[Message] = msgspec.field(default_factory=list)
    tools: list[Tool] = msgspec.field(default_factory=list)
    tool_choice: ToolChoice = ToolChoice()
    max_tokens: int | None = None
    stop: list[str] = msgspec.field(default_factory=list)
    temperature: float | None = None
    top_p: float | None = None
    effort: Effort | None = None
    response_schema: dict[str, Any] | None = None
    response_format: ResponseFormat = ResponseFormat()
    agent: Agent | None = None
    stream: bool = False
    client: Client = Client()
    state: dict[str, Any] = msgspec.field(default_factory=dict)
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    ignored: list[str] = msgspec.field(default_factory=list)

    def ignore(self, name: str) -> None:
        """Note that the parameter ``name`` was accepted and has no effect on this answer."""
        if name not in self.ignored:
            self.ignored.append(name)
