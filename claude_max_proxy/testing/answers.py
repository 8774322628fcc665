"""What the scripted Messages API may answer: a reply, a fault, or a way to break off in the middle.

These are plain values. How one becomes server-sent events is in `events`, how it is sent is in
`delivery`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""The API's name of an error for each HTTP status it documents."""

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"]
"""Why the model stopped, in the API's words."""


class Text(msgspec.Struct, frozen=True):
    """A text block, streamed in pieces.

    `chunks` is the number of deltas (fewer when the text is shorter than that); None streams one
    word in each, with the space before it, as the model does.
    """

    text: str
    chunks: int | None = None


class Thinking(msgspec.Struct, frozen=True):
    """A thinking block, streamed word by word and followed by a made-up signature."""

    text: str


class RedactedThinking(msgspec.Struct, frozen=True):
    """A thinking block whose words nobody may read."""

    data: str


class ToolUse(msgspec.Struct, frozen=True):
    """A call of a tool.

    `name` is the name the model was shown. `id` is the id of the call; None makes a new unique one
    each time it is sent. `raw` is what is streamed instead of the input, JSON or not.
    """

    name: str
    input: dict[str, Any] = {}
    id: str | None = None
    raw: str | None = None


Block = Text | Thinking | RedactedThinking | ToolUse
"""One block of a reply's content."""


class Reply(msgspec.Struct, frozen=True):
    """A message of the assistant, sent to its end.

    `stop_reason` None means `tool_use` if there is a call among the blocks and `end_turn`
    otherwise. `input_tokens`, `cache_read` and `cache_write` are the usage reported, in tokens;
    `output_tokens` None reports one for each delta. `delay` is the time before the first byte and
    `pace` the time between two deltas, both in seconds. `headers` are added to the HTTP answer.
    """

    blocks: tuple[Block, ...]
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None
    input_tokens: int = 10
    output_tokens: int | None = None
    cache_read: int = 0
    cache_write: int = 0
    delay: float = 0.0
    pace: float = 0.0
    headers: dict[str, str] = {}

    @property
    def stopped_by(self) -> StopReason:
        """The stop reason sent: the one given, or the one that fits the blocks."""
        if self.stop_reason is not None:
            return self.stop_reason
        called = any(isinstance(block, ToolUse) for block in self.blocks)
        return "tool_use" if called else "end_turn"


class Fault(msgspec.Struct, frozen=True):
    """A plain HTTP error in the API's JSON envelope.

    `status` is the HTTP status, `type` the API's name of the error, `headers` are added to the
    HTTP answer.
    """

    status: int
    type: str
    message: str
    headers: dict[str, str] = {}


class Drop(msgspec.Struct, frozen=True):
    """Close the connection abruptly.

    `after` None closes it before any byte of the answer, a number after so many text deltas.
    """

    after: int | None = None


class ErrorEvent(msgspec.Struct, frozen=True):
    """Send `after` text deltas, then an `event: error` of this type, and end there."""

    after: int
    type: str = "overloaded_error"
    message: str = "Overloaded"


class Hang(msgspec.Struct, frozen=True):
    """Stop sending but keep the connection until the client leaves.

    `after` None sends nothing at all, not even headers; a number hangs after so many text deltas.
    """

    after: int | None = None


Answer = Reply | Fault | Drop | ErrorEvent | Hang
"""Everything the scripted API may answer to one request."""


def fault(status: int, message: str = "") -> Fault:
    """A fault of this HTTP status with the error type the API uses for it.

    An empty message becomes the name of the error type. A status the API does not document gets
    `invalid_request_error` below 500 and `api_error` from there on.
    """
    fallback = "invalid_request_error" if status < 500 else "api_error"
    type_name = ERROR_TYPES.get(status, fallback)
    return Fault(status, type_name, message or type_name.replace("_", " "))


def words(count: int) -> str:
    """The text `w0 w1 …` of so many words, which streams as so many deltas."""
    return " ".join(f"w{number}" for number in range(count))
