"""What a client asks for, in a form that belongs to no API in particular: only values, without any I/O.

A dialect reads a client's API into a :class:`Request`, plugins may change it in place, and a backend answers
it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Role = Literal["user", "assistant"]
_MOST_IGNORED = 200


class Text(msgspec.Struct, frozen=True, tag="text"):
    """Plain text, exactly as written."""

    text: str


class Image(msgspec.Struct, frozen=True, tag="image"):
    """An image: either ``data`` (base64, with ``media_type``) or the ``url`` of one."""

    media_type: str = ""
    data: str = ""
    url: str = ""


class Audio(msgspec.Struct, frozen=True, tag="audio"):
    """Sound: base64 ``data`` in a ``format`` such as "wav" or "mp3"."""

    data: str
    format: str


class File(msgspec.Struct, frozen=True, tag="file"):
    """A document: base64 ``data`` of a ``media_type``, or its ``url``; the client calls it ``name``."""

    media_type: str = ""
    data: str = ""
    name: str = ""
    url: str = ""


class Reasoning(msgspec.Struct, frozen=True, tag="reasoning"):
    """What the model thought before it answered, as the client sends it back.

    ``signature`` is the provider's opaque proof that the thought is the model's own. A ``redacted`` thought
    has no text, only a signature.
    """

    text: str
    signature: str = ""
    redacted: bool = False


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call"):
    """The model's call of a tool; ``arguments`` is JSON text, ``{}`` if there are none."""

    id: str
    name: str
    arguments: str


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result"):
    """What the client's tool answered to the call ``id``; ``is_error`` says that the tool failed."""

    id: str
    parts: tuple[Text | Image | File, ...]
    is_error: bool = False


Part = Text | Image | Audio | File | Reasoning | ToolCall | ToolResult


class Message(msgspec.Struct):
    """One turn of the conversation.

    ``ephemeral`` marks a message that the client will not repeat at this place in its next request. The model
    sees it, but it does not count when the proxy recognises a conversation by its history.
    """

    role: Role
    parts: list[Part]
    ephemeral: bool = False


class Tool(msgspec.Struct, frozen=True):
    """One of the client's tools, exactly as the client defined it.

    ``parameters`` is a JSON schema. A field that the client has left out is ``None``. ``fields`` are further
    fields of the definition that only the Messages API has, such as ``cache_control``. ``path`` is the tool's
    place in the client's request, for error messages.
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    path: str = ""


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether the model may, must or must not call tools.

    With the ``mode`` "named", it must call the tool ``name``. ``parallel`` says whether it may make several
    calls in the same answer.
    """

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str = ""
    parallel: bool = True

    @property
    def forces(self) -> bool:
        """Whether the model must call a tool."""
        return self.mode in {"required", "named"}


class ResponseFormat(msgspec.Struct, frozen=True):
    """What a client says about ``Request.response_schema`` in addition to the schema itself.

    ``strict`` asks the provider to enforce the schema; it is ``None`` if the client does not say. ``path`` is
    the schema's place in the client's request, for error messages.
    """

    name: str = ""
    description: str = ""
    strict: bool | None = None
    path: str = "response_format.json_schema.schema"


class Agent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the backend's own agent may do when it works for an answer. Only ``[models]`` can set it."""

    tools: Annotated[
        tuple[str, ...], Meta(description='The names of the agent\'s tools, as in `["Read", "Grep"]`.')
    ]
    directory: Annotated[str, Meta(description="The directory in which the tools work. It must exist.")]
    allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Claude Code's permission rules for what the tools may do, as in "
            '`["Bash(git log:*)"]`. Empty allows everything that `tools` can do.'
        ),
    ] = ()
    permission_mode: Annotated[
        Literal["dontAsk", "default", "acceptEdits", "plan"],
        Meta(
            description="Claude Code's permission mode: `dontAsk`, `default`, `acceptEdits` or `plan`. "
            "Nobody can answer a question of the agent's, so the default refuses whatever `allow` does not "
            "permit."
        ),
    ] = "dontAsk"
    settings: Annotated[
        tuple[Literal["user", "project", "local"], ...],
        Meta(
            description="Which of Claude Code's own settings apply to the agent: `user`, `project`, `local`. "
            "Empty means none of them."
        ),
    ] = ()


class Client(msgspec.Struct, frozen=True):
    """Who sends a request: the name of the API key, the program as it names itself, and its address.

    ``session`` is the client's own name for the conversation, which is a hint and never a proof. A dialect
    sets it if its API has a field for it; a header takes precedence. ``identity`` stands for the key's
    secret, whatever the key's name is, until the proxy is restarted.
    """

    key: str = ""
    program: str = ""
    address: str = ""
    session: str = ""
    identity: str = ""

    @property
    def owner(self) -> str:
        """The name under which the data of this client is kept.

        It depends on the key's secret, so that another key with the same name cannot get at the data.
        """
        return self.identity or self.key

    def __repr__(self) -> str:
        shown = (self.key, self.program, self.address, self.session)
        return f"Client({', '.join(map(repr, shown))})"


class Request(msgspec.Struct):
    """One request to a model. It is mutable, so that plugins can change it in place.

    - ``model``: the model's name, as the client asked for it; the answer repeats it.
    - ``id``: the name of this request, which the answer's headers, the log and the record also have.
    - ``path``: the path that it came to. ``arrived`` is when, by the monotonic clock; 0 if that is unknown.
    - ``traceparent``: the client's header of this name (W3C Trace Context), if it is well-formed.
    - ``answers``: how many answers the client wants. The gateway is asked once for each, with a copy of the
      request, so hooks and backends make one answer whatever it says.
    - ``answer_headers``: headers for the answer, whose names begin with ``x-``. Plugins can add some before
      the answer begins.
    - ``recorded``: whether the gateway keeps its record; until then, it is the server's to keep.
    - ``state``: a dict in which plugins can pass things to each other.
    - ``extra``: parameters for which there is no field here, by their documented names, for backends that
      honour them.
    - ``ignored``: the names of parameters that were accepted but have no effect. The client is told them in
      the header ``x-proxy-ignored``.
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
    answers: int = 1
    client: Client = Client()
    id: str = ""
    path: str = ""
    arrived: float = 0.0
    traceparent: str = ""
    answer_headers: dict[str, str] = msgspec.field(default_factory=dict)
    state: dict[str, Any] = msgspec.field(default_factory=dict)
    recorded: bool = False
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    ignored: list[str] = msgspec.field(default_factory=list)

    def ignore(self, name: str) -> None:
        """Note that the parameter ``name`` was accepted but has no effect on this answer.

        At most 200 names are noted, since clients can invent them.
        """
        if len(self.ignored) < _MOST_IGNORED and name not in self.ignored:
            self.ignored.append(name)
