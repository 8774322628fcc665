"""What comes back, in nobody's dialect: values, their grammar, and one function that folds them.

::

    Started · (PartStarted · PartDelta* · PartEnded)* · Usage? · (Finished | Failed)

``Failed`` may come at any point and ends everything; parts do not overlap; their indexes count from 0.
A whole reply is the same events folded by :func:`fold`, so a streamed and a whole answer cannot differ.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Literal

import msgspec

from claude_max_proxy.errors import InternalError, ProxyError
from claude_max_proxy.request import Reasoning, Text, ToolCall


PartKind = Literal["text", "reasoning", "tool_call"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The model has begun. ``model`` is the upstream's own name for itself.

    ``live`` says whether a conversation was continued in place; ``queued`` is the time in seconds that the
    request waited for the backend. ``usage`` are the tokens as far as they are known by then, which is what
    the prompt took; those that :class:`Usage` tells at the end count.
    """

    model: str
    live: bool = False
    queued: float = 0.0
    usage: Usage | None = None


class PartStarted(msgspec.Struct, frozen=True, tag="part_started"):
    """A part begins; ``id`` and ``name`` are set for a tool call."""

    index: int
    kind: PartKind
    id: str = ""
    name: str = ""


class PartDelta(msgspec.Struct, frozen=True, tag="part_delta"):
    """More of the open part: text, reasoning, or a fragment of a tool call's JSON arguments."""

    index: int
    text: str


class PartEnded(msgspec.Struct, frozen=True, tag="part_ended"):
    """The open part is complete; reasoning may end with the provider's ``signature``."""

    index: int
    signature: str = ""
    redacted: bool = False


class Usage(msgspec.Struct, frozen=True, tag="usage"):
    """Tokens of this answer. ``input_tokens`` excludes what was read from or written to the cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int | None = None

    @property
    def prompt_tokens(self) -> int:
        """All tokens of the prompt, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The answer is complete; ``stop_sequence`` is the client's own text that ended it, where it is known."""

    reason: FinishReason
    stop_sequence: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The answer ends here, for this reason."""

    error: ProxyError


Event = Started | PartStarted | PartDelta | PartEnded | Usage | Finished | Failed
Events = AsyncGenerator[Event, None]


class Reply(msgspec.Struct):
    """A whole answer: what the events of one stream add up to."""

    model: str = ""
    parts: list[Text | Reasoning | ToolCall] = msgspec.field(default_factory=list)
    usage: Usage | None = None
    reason: FinishReason = "stop"
    stop_sequence: str = ""
    error: ProxyError | None = None

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def reasoning(self) -> str:
        """All reasoning parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Reasoning))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls, in order."""
        return [part for part in self.parts if isinstance(part, ToolCall)]


class Folding:
    """Adds events up to a :class:`Reply`, one at a time, and refuses what the grammar forbids."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.reply = Reply()
        self._state: Literal["new", "open", "part", "counted", "ended"] = "new"
        self._part: PartStarted | None = None
        self._texts: list[str] = []
        self._index = 0

    @property
    def ended(self) -> bool:
        """Whether ``Finished`` or ``Failed`` was heard."""
        return self._state == "ended"

    def add(self, event: Event) -> None:
        """Take one more event.

        Raises :class:`InternalError` when the grammar does not allow it here: a backend's bug.
        """
        if self._state not in _ALLOWED[type(event)]:
            raise InternalError(f"event {type(event).__name__} is not allowed when {self._state!r}")
        if isinstance(event, PartStarted | PartDelta | PartEnded) and event.index != self._index:
            raise InternalError(f"the index of {type(event).__name__} is {event.index}, not {self._index}")
        match event:
            case Started():
                self.reply.model, self._state = event.model, "open"
            case PartStarted():
                self._part, self._state = event, "part"
            case PartDelta():
                self._texts.append(event.text)
            case PartEnded():
                self._close(event)
            case Usage():
                self.reply.usage, self._state = event, "counted"
            case Finished():
                self.reply.reason, self.reply.stop_sequence = event.reason, event.stop_sequence
                self._state = "ended"
            case Failed():
                self.reply.error, self._state = event.error, "ended"

    def _close(self, end: PartEnded) -> None:
        part, text = self._part, "".join(self._texts)
        self._texts.clear()
        self._state, self._index = "open", self._index + 1
        match part:
            case PartStarted(kind="text"):
                self.reply.parts.append(Text(text))
            case PartStarted(kind="reasoning"):
                self.reply.parts.append(Reasoning(text, end.signature, end.redacted))
            case PartStarted():
                self.reply.parts.append(ToolCall(part.id, part.name, text or "{}"))
            case None:  # unreachable: the grammar admits PartEnded only inside a part
                raise InternalError("a part ended that never started")


_ALLOWED: dict[type, frozenset[str]] = {
    Started: frozenset({"new"}),
    PartStarted: frozenset({"open"}),
    PartDelta: frozenset({"part"}),
    PartEnded: frozenset({"part"}),
    Usage: frozenset({"open"}),
    Finished: frozenset({"open", "counted"}),
    Failed: frozenset({"new", "open", "part", "counted"}),
}


def fold(events: Iterable[Event]) -> Reply:
    """Add complete events up to one reply; a stream that just stops is an :class:`InternalError`."""
    folding = Folding()
    for event in events:
        folding.add(event)
    if not folding.ended:
        raise InternalError("the events stopped before Finished or Failed")
    return folding.reply


async def collect(events: Events) -> Reply:
    """Add events up to one reply as they come; a failure that is raised is like one that is told."""
    folding = Folding()
    try:
        async for event in events:
            folding.add(event)
    except ProxyError as error:
        folding.add(Failed(error))
    if not folding.ended:
        raise InternalError("the events stopped before Finished or Failed")
    return folding.reply
