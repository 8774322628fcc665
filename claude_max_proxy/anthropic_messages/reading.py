"""Translates the events that the API streams into ours."""

from __future__ import annotations

import msgspec

from claude_max_proxy.anthropic_messages.stop_reasons import finish_reason
from claude_max_proxy.anthropic_messages.stream import ApiMessage, ApiUsage, ContentBlock, Delta, StreamEvent
from claude_max_proxy.anthropic_messages.usage import add_usage, read_usage
from claude_max_proxy.events import (
    Event,
    FinishReason,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Started,
    Usage,
)


class MessageReader:
    """Translates the events of an answer, which may consist of several messages: our part indexes go on.

    ``calls`` counts the calls of the client's tools. Subclasses override what becomes of a message, a text, a
    call or a fragment.
    """

    def __init__(self) -> None:
        """Prepare to read an answer."""
        self.stop_reason = ""
        self.stop_sequence = ""
        self.calls = 0
        self._next = 0
        self._open: PartStarted | None = None
        self._arguments: list[str] = []
        self._signature: list[str] = []
        self._redacted = False
        self._usage = ApiUsage()

    @property
    def usage(self) -> Usage:
        """The numbers of tokens of the newest message."""
        return read_usage(self._usage)

    @property
    def reason(self) -> FinishReason:
        """Why the newest message ended."""
        return finish_reason(self.stop_reason, called=self.calls > 0)

    def read(self, event: StreamEvent) -> list[Event]:
        """Take one event of the stream, and return the events that it stands for."""
        match event.type:
            case "content_block_delta":
                return self._delta(event.delta)
            case "content_block_start":
                return self._block(event.content_block or ContentBlock())
            case "content_block_stop":
                return self.close()
            case "message_start":
                return self._message(event.message or ApiMessage())
            case "message_delta":
                self._end(event.delta)
                add_usage(self._usage, event.usage)
            case _:
                return self._rest(event)
        return []

    def close(self) -> list[Event]:
        """Return the event that ends the open part, if there is one."""
        part, self._open = self._open, None
        if part is None:
            return []

        return [PartEnded(part.index, "".join(self._signature), self._redacted)]

    def _rest(self, event: StreamEvent) -> list[Event]:  # noqa: ARG002  # subclasses may use it
        """Handle an event of another type: "ping", or one that the API may add some day."""
        return []

    def _message(self, message: ApiMessage) -> list[Event]:
        self.stop_reason = self.stop_sequence = ""
        self._usage = ApiUsage()
        add_usage(self._usage, message.usage)
        return [Started(message.model, usage=self.usage)]

    def _end(self, delta: Delta | None) -> None:
        if delta is not None and delta.stop_reason:
            self.stop_reason, self.stop_sequence = delta.stop_reason, delta.stop_sequence or ""

    def _block(self, block: ContentBlock) -> list[Event]:
        match block.type:
            case "text":
                return self._text(block.text or "")
            case "tool_use":
                return self._call(block)
            case "thinking":
                events = self._part("reasoning")
                self._signature = [block.signature or ""]
                return events + self._say(block.thinking)
            case "redacted_thinking":
                events = self._part("reasoning")
                self._signature, self._redacted = [block.data or ""], True
                return events
            case _:
                return []

    def _text(self, text: str) -> list[Event]:
        return self._part("text") + self._say(text)

    def _call(self, block: ContentBlock) -> list[Event]:
        self.calls += 1
        return self._part("tool_call", block.id, block.name) + self._input(block)

    def _input(self, block: ContentBlock) -> list[Event]:
        """Return the arguments that came with the head of the block, as some other services send them."""
        return self._say(msgspec.json.encode(block.input).decode()) if block.input else []

    def _part(self, kind: PartKind, call_id: str = "", name: str = "") -> list[Event]:
        before = self.close() if self._open else []
        self._arguments.clear()
        self._signature, self._redacted = [], False
        self._open = PartStarted(self._next, kind, call_id, name)
        self._next += 1
        return [*before, self._open]

    def _say(self, text: str | None) -> list[Event]:
        return [PartDelta(self._next - 1, text)] if text and self._open else []

    def _delta(self, delta: Delta | None) -> list[Event]:
        text = (delta.text or delta.partial_json or delta.thinking) if delta else None
        part = self._open
        if text and part is not None:
            if part.kind == "tool_call":
                self._arguments.append(text)
            return [PartDelta(part.index, text)]
        if text:
            self._loose(text)
        elif delta and delta.signature:
            self._signature.append(delta.signature)
        return []

    def _loose(self, text: str) -> None:
        """Handle a fragment of a block that is not part of the answer."""
