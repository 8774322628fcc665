"""The CLI's stream-json protocol: decodes its lines, and encodes ours. Pure.

As seen with 2.1.197 and 2.1.330. Lines and fields that we do not know are ignored, because newer versions
send more of them. The fields of a line come in any order, and kinds of lines come and go with versions.
"""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from claude_max_proxy.anthropic_messages import StreamEvent


_encode = msgspec.json.encode


class RpcParams(msgspec.Struct):
    """The parameters of a JSON-RPC request that we use."""

    name: str = ""
    arguments: dict[str, Any] | None = None
    protocol_version: str = msgspec.field(default="", name="protocolVersion")
    meta: dict[str, Any] | None = msgspec.field(default=None, name="_meta")

    @property
    def tool_use_id(self) -> str:
        """The id of the ``tool_use`` block that asks for this call."""
        return str((self.meta or {}).get("claudecode/toolUseId", ""))


class RpcMessage(msgspec.Struct):
    """One JSON-RPC message of the MCP channel, which runs over the same standard input and output."""

    method: str = ""
    id: int | str | None = None
    params: RpcParams | None = None


class ControlRequest(msgspec.Struct):
    """A request from the CLI to us."""

    subtype: str = ""
    message: RpcMessage | None = None
    callback_id: str = ""


class ControlResponse(msgspec.Struct):
    """The CLI's response to one of our requests."""

    subtype: str = ""
    request_id: str = ""
    error: str = ""
    response: msgspec.Raw = msgspec.Raw(b"null")


class RateLimitInfo(msgspec.Struct):
    """The state of the plan's usage limit; ``resets_at`` is in seconds since the epoch.

    ``utilization`` is a share, from 0 to 1 and sometimes above. Newer CLIs send ``unified_windows``: how each
    window stands, by its name.
    """

    status: str = ""
    resets_at: float | None = msgspec.field(default=None, name="resetsAt")
    rate_limit_type: str = msgspec.field(default="", name="rateLimitType")
    # Whatever these are, the status must be understood.
    utilization: Any = None
    unified_windows: Any = msgspec.field(default=None, name="unifiedWindows")


class ModelUsage(msgspec.Struct):
    """What the CLI knows about a model that it has used; both numbers are in tokens."""

    context_window: int | None = msgspec.field(default=None, name="contextWindow")
    max_output_tokens: int | None = msgspec.field(default=None, name="maxOutputTokens")


class Line(msgspec.Struct):
    """One line from the CLI, of any kind; these are all the fields that we use."""

    type: str = ""
    subtype: str = ""
    event: StreamEvent | None = None
    parent_tool_use_id: str | None = None
    request_id: str = ""
    request: ControlRequest | None = None
    response: ControlResponse | None = None
    rate_limit_info: RateLimitInfo | None = None
    is_error: bool = False
    api_error_status: int | None = None
    result: str = ""
    structured_output: msgspec.Raw = msgspec.Raw(b"null")
    model_usage: dict[str, ModelUsage] = msgspec.field(default_factory=dict, name="modelUsage")
    attempt: int = 0
    tools: list[str] | None = None


class Rewound(msgspec.Struct):
    """The answer to ``rewind_conversation``."""

    rewound: bool = False


class ContextUsage(msgspec.Struct):
    """The answer to ``get_context_usage``: the model, and the size of its context window in tokens."""

    model: str = ""
    window: int | None = msgspec.field(default=None, name="rawMaxTokens")


class PlanUsage(msgspec.Struct):
    """The answer to ``get_usage``; ``rate_limits`` is null if the login has no plan, or may not ask."""

    rate_limits: Any = None


# The id of the request that a new process gets before a client needs it.
REHEARSAL = "proxy-rehearsal"
# The stop reasons after which the CLI would ask the model again, which would be billed again.
FINAL = frozenset({"max_tokens", "refusal", "model_context_window_exceeded"})


def is_rehearsed(line: Line) -> bool:
    """Return whether a line answers the rehearsal."""
    return line.response is not None and line.response.request_id == REHEARSAL


class OfferedModel(msgspec.Struct):
    """One model that the CLI offers, from its answer to ``initialize``."""

    value: str = ""
    resolved: str = msgspec.field(default="", name="resolvedModel")
    supports_effort: bool = msgspec.field(default=False, name="supportsEffort")
    efforts: list[str] = msgspec.field(default_factory=list, name="supportedEffortLevels")
    adaptive_thinking: bool = msgspec.field(default=False, name="supportsAdaptiveThinking")
    thinking_off: bool | None = msgspec.field(default=None, name="supportsThinkingOff")  # newer CLIs


class Account(msgspec.Struct):
    """Where the login comes from; "none" and an empty text mean that there is none."""

    token_source: str = msgspec.field(default="", name="tokenSource")
    api_key_source: str = msgspec.field(default="", name="apiKeySource")
    subscription: str = msgspec.field(default="", name="subscriptionType")


class Initialized(msgspec.Struct):
    """The answer to ``initialize``."""

    account: Account = msgspec.field(default_factory=Account)
    models: list[OfferedModel] = msgspec.field(default_factory=list)


_line_decoder = msgspec.json.Decoder(Line)
_head_decoder = msgspec.json.Decoder(dict[str, Any])
_rewound_decoder = msgspec.json.Decoder(Rewound)
_context_decoder = msgspec.json.Decoder(ContextUsage)
_usage_decoder = msgspec.json.Decoder(PlanUsage)
_initialized_decoder = msgspec.json.Decoder(Initialized)
_known = frozenset({"stream_event", "control_request", "control_response", "result", "assistant"})
_ids = itertools.count(1)


class Garbage(ValueError):
    """A line that does not belong to this protocol."""


def decode(line: bytes) -> Line | None:
    """Decode one line; return ``None`` for a kind of line that we do not know.

    Raises :class:`Garbage` if the line is not a JSON object, or if we know its kind but not its shape.
    """
    try:
        return _line_decoder.decode(line)
    except msgspec.ValidationError as error:
        head = _head(line)
        if head.get("type") in _known:
            raise Garbage(f"{error} in a line of type {head['type']!r}") from error
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Garbage(str(error)) from error


def decode_initialized(response: msgspec.Raw) -> Initialized:
    """Decode the answer to ``initialize``; return an empty one if it cannot be decoded."""
    try:
        return _initialized_decoder.decode(response)
    except msgspec.MsgspecError:
        return Initialized()


def decode_context(response: msgspec.Raw) -> ContextUsage:
    """Decode the answer to a rehearsal; return an empty one if it cannot be decoded."""
    try:
        return _context_decoder.decode(response)
    except msgspec.MsgspecError:
        return ContextUsage()


def decode_usage(response: msgspec.Raw) -> PlanUsage:
    """Decode the answer to ``get_usage``; return an empty one if it cannot be decoded."""
    try:
        return _usage_decoder.decode(response)
    except msgspec.MsgspecError:
        return PlanUsage()


def control_request(subtype: str, **fields: Any) -> tuple[str, bytes]:
    """Make a request of ours; return its id and its line."""
    request_id = f"proxy-{next(_ids)}"
    body = {"subtype": subtype, **fields}
    return request_id, line("control_request", request_id=request_id, request=body)


def rewind(target: str, newest: str) -> tuple[str, bytes]:
    """Make the request to take back everything from the user's line ``target`` on.

    ``newest`` names the user's last line. Returns the request's id and its line.
    """
    return control_request(
        "rewind_conversation",
        target_message_uuid=target,
        last_seen_user_message_uuid=newest,
        interrupt_if_running=True,
    )


def is_rewound(response: ControlResponse) -> bool:
    """Return whether the CLI explicitly says that it has taken the lines back."""
    try:
        return response.subtype == "success" and _rewound_decoder.decode(response.response).rewound
    except msgspec.MsgspecError:
        return False


def hook_response(request_id: str, answer: dict[str, Any]) -> bytes:
    """Return the line that answers a hook."""
    return line(
        "control_response", response={"subtype": "success", "request_id": request_id, "response": answer}
    )


def mcp_response(request_id: str, rpc_id: int | str | None, result: dict[str, Any]) -> bytes:
    """Return the line that answers a JSON-RPC request of the MCP channel."""
    message = {"jsonrpc": "2.0", "id": 0 if rpc_id is None else rpc_id, "result": result}
    body = {"mcp_response": message}
    return line(
        "control_response",
        response={"subtype": "success", "request_id": request_id, "response": body},
    )


def refusal(request_id: str, reason: str) -> bytes:
    """Return the line that refuses a request which we do not serve."""
    return line(
        "control_response",
        response={"subtype": "error", "request_id": request_id, "error": reason},
    )


def line(type_: str, **fields: Any) -> bytes:
    """Return one line of the protocol, encoded."""
    return _encode({"type": type_, **fields}) + b"\n"


def _head(line_: bytes) -> dict[str, Any]:
    try:
        return _head_decoder.decode(line_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Garbage(str(error)) from error
