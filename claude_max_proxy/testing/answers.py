"""What the scripted Messages API can answer: a reply, an HTTP error, or an answer that breaks off.

These are plain values. `events` turns them into server-sent events, and `delivery` sends them.
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
"""The API's name for an error, for each HTTP status that it documents."""

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal"]
"""Why the model stopped, in the API's terms."""


class Text(msgspec.Struct, frozen=True):
    """A text block, streamed in pieces.

    `chunks` is the number of deltas; there are fewer if the text has fewer characters. With None, each delta
    is one word with the space before it, as the model streams.
    """

    text: str
    chunks: int | None = None


class Thinking(msgspec.Struct, frozen=True):
    """A thinking block, streamed word by word and followed by a made-up signature."""

    text: str


class RedactedThinking(msgspec.Struct, frozen=True):
    """A thinking block whose text is hidden."""

    data: str


class ToolUse(msgspec.Struct, frozen=True):
    """A call of a tool.

    `name` is the tool's name, as the model was told it. `id` is the id of the call; with None, a new id is
    made each time the call is sent. `raw` is text that is streamed instead of the input, and need not be
    JSON.
    """

    name: str
    input: dict[str, Any] = {}
    id: str | None = None
    raw: str | None = None


Block = Text | Thinking | RedactedThinking | ToolUse
"""One block of a reply's content."""


class Reply(msgspec.Struct, frozen=True):
    """A message of the assistant that is sent completely.

    A `stop_reason` of None means `tool_use` if one of the blocks is a call, otherwise `end_turn`.
    `input_tokens`, `cache_read` and `cache_write` are the numbers of tokens in the usage. With None,
    `output_tokens` is the number of deltas. `delay` is the time before the first byte and `pace` the time
    between two deltas, both in seconds. `headers` are added to the HTTP answer.
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
        """The stop reason that is sent: the given one, or the one that fits the blocks."""
        if self.stop_reason is not None:
            return self.stop_reason
        called = any(isinstance(block, ToolUse) for block in self.blocks)
        return "tool_use" if called else "end_turn"


class Fault(msgspec.Struct, frozen=True):
    """An HTTP error with the API's JSON envelope.

    `status` is the HTTP status, and `type` the API's name for the error. `headers` are added to the HTTP
    answer.
    """

    status: int
    type: str
    message: str
    headers: dict[str, str] = {}


class Drop(msgspec.Struct, frozen=True):
    """Close the connection abruptly, after this many text deltas or, with None, before any byte."""

    after: int | None = None


class ErrorEvent(msgspec.Struct, frozen=True):
    """Send `after` text deltas, then an `event: error` of this type, and end the stream."""

    after: int
    type: str = "overloaded_error"
    message: str = "Overloaded"


class Hang(msgspec.Struct, frozen=True):
    """Stop sending, but keep the connection until the client leaves.

    `after` is the number of text deltas that are sent before; with None, not even headers are sent.
    """

    after: int | None = None


Answer = Reply | Fault | Drop | ErrorEvent | Hang
"""Everything that the scripted API can answer to a request."""


def fault(status: int, message: str = "") -> Fault:
    """Return an HTTP error with this status, and with the error type that the API uses for it.

    An empty message becomes the name of the error type. A status that the API does not document gets the type
    `invalid_request_error` below 500, and `api_error` from there on.
    """
    fallback = "invalid_request_error" if status < 500 else "api_error"
    type_name = ERROR_TYPES.get(status, fallback)
    return Fault(status, type_name, message or type_name.replace("_", " "))


def words(count: int) -> str:
    """Return the text `w0 w1 …` with `count` words, which is streamed in as many deltas."""
    return " ".join(f"w{number}" for number in range(count))
