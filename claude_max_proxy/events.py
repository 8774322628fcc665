"""The events of an answer, which belong to no client API in particular, their grammar, and how to fold them.

::

    Started · (PartStarted · PartDelta* · PartEnded)* · Usage? · (Finished | Failed)

``Failed`` may come at any point and ends everything. Parts do not overlap, and their indexes count from 0. A
whole reply is made of the same events by :func:`fold`, so a streamed and a whole answer cannot differ.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Literal

import msgspec

from claude_max_proxy.errors import InternalError, ProxyError
from claude_max_proxy.request import Reasoning, Text, ToolCall


__all__ = [
    "Alternative",
    "AlternativesFolding",
    "Event",
    "Events",
    "Failed",
    "FinishReason",
    "Finished",
    "Folding",
    "PartDelta",
    "PartEnded",
    "PartKind",
    "PartStarted",
    "Reply",
    "Started",
    "Usage",
    "collect",
    "complete_part",
    "fold",
]


PartKind = Literal["text", "reasoning", "tool_call"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The model has begun to answer. ``model`` is the upstream's name for it.

    ``live`` says whether a conversation was continued in place; if it was not, ``replayed`` may say why.
    ``queued`` is for how many seconds the request waited for the backend. ``usage`` contains the numbers of
    tokens that are known by then, usually those of the prompt; the event :class:`Usage` at the end replaces
    them.
    """

    model: str
    live: bool = False
    queued: float = 0.0
    usage: Usage | None = None
    replayed: str = ""


class PartStarted(msgspec.Struct, frozen=True, tag="part_started"):
    """A part begins; ``id`` and ``name`` are set for a tool call."""

    index: int
    kind: PartKind
    id: str = ""
    name: str = ""


class PartDelta(msgspec.Struct, frozen=True, tag="part_delta"):
    """A piece of the open part: text, reasoning, or a fragment of a tool call's JSON arguments."""

    index: int
    text: str


class PartEnded(msgspec.Struct, frozen=True, tag="part_ended"):
    """The open part is complete. Reasoning may end with the provider's ``signature``.

    ``redacted`` says that the provider does not show the thought, of which only the signature exists.
    """

    index: int
    signature: str = ""
    redacted: bool = False


class Usage(msgspec.Struct, frozen=True, tag="usage"):
    """The numbers of tokens. ``input_tokens`` excludes those read from or written to the provider's cache.

    ``output_tokens`` includes those for reasoning. ``reasoning_tokens`` is ``None`` if the provider does not
    say how many there are.
    """

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
    """The answer is complete; ``stop_sequence`` is the client's stop sequence that ended it, if any did."""

    reason: FinishReason
    stop_sequence: str = ""


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The answer has failed and ends here; ``error`` says why."""

    error: ProxyError


Event = Started | PartStarted | PartDelta | PartEnded | Usage | Finished | Failed
Events = AsyncGenerator[Event, None]


class Alternative(msgspec.Struct, frozen=True, tag="alternative"):
    """An event of one of several answers to the same request; ``index`` counts the answers from 0.

    Backends and hooks know nothing of these: there, each answer is a stream of its own. They exist only
    between the server and the writer of an exchange whose request asks for several ``answers``. After all
    answers, a ``Usage`` with the sums and a ``Finished`` follow; if one fails, a ``Failed`` ends them all.
    """

    index: int
    event: Event


def complete_part(
    start: PartStarted, *texts: str, signature: str = "", redacted: bool = False
) -> list[Event]:
    """Return the events of a part that is complete: its start, a delta for each of ``texts``, and its end."""
    deltas = [PartDelta(start.index, text) for text in texts]
    return [start, *deltas, PartEnded(start.index, signature, redacted)]


class Reply(msgspec.Struct):
    """A whole answer: what the events of one stream add up to.

    If the client has asked for several, ``alternatives`` are the answers, and the reply itself has only what
    was used for all of them, or the error that has ended them.
    """

    model: str = ""
    parts: list[Text | Reasoning | ToolCall] = msgspec.field(default_factory=list)
    usage: Usage | None = None
    reason: FinishReason = "stop"
    stop_sequence: str = ""
    error: ProxyError | None = None
    alternatives: list[Reply] = msgspec.field(default_factory=list)

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
    """Adds events up to a :class:`Reply`, one at a time, and refuses those that the grammar forbids."""

    def __init__(self) -> None:
        """Begin with an empty reply."""
        self.reply = Reply()
        self._state: Literal["new", "open", "part", "counted", "ended"] = "new"
        self._part: PartStarted  # the newest one; the grammar admits an end only after it
        self._texts: list[str] = []
        self._index = 0

    @property
    def ended(self) -> bool:
        """Whether ``Finished`` or ``Failed`` was added."""
        return self._state == "ended"

    def add(self, event: Event) -> None:
        """Add the next event.

        Raises :class:`InternalError` if the grammar does not allow it here, which is a bug in the backend.
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
            case _:  # Failed
                self.reply.error, self._state = event.error, "ended"

    def _close(self, end: PartEnded) -> None:
        text = "".join(self._texts)
        self._texts.clear()
        self._state, self._index = "open", self._index + 1
        match self._part:
            case PartStarted(kind="text"):
                self.reply.parts.append(Text(text))
            case PartStarted(kind="reasoning"):
                self.reply.parts.append(Reasoning(text, end.signature, end.redacted))
            case part:
                self.reply.parts.append(ToolCall(part.id, part.name, text or "{}"))


class AlternativesFolding:
    """Adds the events of one answer up to a :class:`Reply`, or those of several, which are alternatives."""

    def __init__(self, answers: int = 1) -> None:
        """Begin with so many empty answers."""
        self._each = [Folding() for _ in range(answers)]
        self._one = self._each[0] if answers == 1 else None
        self.reply = self._one.reply if self._one else Reply(alternatives=[one.reply for one in self._each])

    def add(self, event: Event | Alternative) -> None:
        """Add the next event; raise :class:`InternalError` if it is not allowed here."""
        match event:
            case Alternative():
                self._each[event.index].add(event.event)
            case _ if self._one is not None:
                self._one.add(event)
            case Usage():
                self.reply.usage = event
            case Failed():
                self.reply.error = event.error
            case Finished() if all(one.ended for one in self._each):
                pass
            case _:
                raise InternalError(f"event {type(event).__name__} belongs to none of several answers")


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
    """Return the reply that these events add up to. Raises :class:`InternalError` if they have no end."""
    folding = Folding()
    for event in events:
        folding.add(event)
    if not folding.ended:
        raise InternalError("the events stopped before Finished or Failed")
    return folding.reply


async def collect(events: Events) -> Reply:
    """Return the reply that a stream of events adds up to.

    If the stream raises a :class:`ProxyError`, this is the same as a ``Failed`` event. Raises
    :class:`InternalError` if the stream stops without an end.
    """
    folding = Folding()
    try:
        async for event in events:
            folding.add(event)
    except ProxyError as error:
        folding.add(Failed(error))
    if not folding.ended:
        raise InternalError("the events stopped before Finished or Failed")
    return folding.reply
