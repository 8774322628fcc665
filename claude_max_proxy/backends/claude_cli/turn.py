"""One turn: the CLI's stream events in, our events out. Pure.

A turn may span several messages of the upstream (the CLI goes on by itself after tool results), so block
indexes start again while ours go on.
"""

from __future__ import annotations

import secrets
import string
from typing import Literal

from claude_max_proxy import (
    Event,
    FinishReason,
    PartDelta,
    PartEnded,
    PartStarted,
    Started,
    Usage,
)
from claude_max_proxy.backends.claude_cli.protocol import (
    ApiUsage,
    ContentBlock,
    Delta,
    StreamEvent,
)


_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_KINDS: dict[str, Literal["text", "reasoning", "tool_call"]] = {
    "text": "text",
    "thinking": "reasoning",
    "tool_use": "tool_call",
}
STRUCTURED_OUTPUT = "StructuredOutput"
_ALPHABET = string.ascii_letters + string.digits


class Turn:
    """Translates one turn. ``ids`` maps each tool call's id as the client sees it to the upstream's own.

    With a schema the answer is the input of one tool of the CLI's own, and becomes the text; what the model
    says beside it is not part of the answer.
    """

    def __init__(self, *, live: bool, queued: float, structured: bool = False) -> None:
        """Begin a turn, of a conversation that goes on in place or not, after waiting ``queued`` seconds."""
        self.structured = structured
        self.answered = False
        self.ids: dict[str, str] = {}
        self.stop_reason = ""
        self.messages = 0
        self._live, self._queued = live, queued
        self._next = 0
        self._open: PartStarted | None = None
        self._usage = ApiUsage()

    @property
    def usage(self) -> Usage:
        """The tokens of the newest message."""
        tokens = self._usage
        details = tokens.output_tokens_details
        return Usage(
            tokens.input_tokens or 0,
            tokens.output_tokens or 0,
            tokens.cache_read_input_tokens or 0,
            tokens.cache_creation_input_tokens or 0,
            details.thinking_tokens if details else None,
        )

    @property
    def reason(self) -> FinishReason:
        """Why the newest message ended; an unknown reason is an ordinary stop."""
        return _REASONS.get(self.stop_reason, "stop")

    def read(self, event: StreamEvent) -> list[Event]:
        """Take one stream event; give what it means."""
        match event.type:
            case "content_block_delta":
                return self._delta(event.delta)
            case "content_block_start":
                return self._start(event.content_block)
            case "content_block_stop":
                return self.close()
            case "message_start":
                return self._message(event)
            case "message_delta":
                if event.delta and event.delta.stop_reason:
                    self.stop_reason = event.delta.stop_reason
                self._count(event.usage)
            case _:
                pass
        return []

    def close(self) -> list[Event]:
        """Close the part that is open, if one is."""
        part, self._open = self._open, None
        return [PartEnded(part.index)] if part else []

    def _message(self, event: StreamEvent) -> list[Event]:
        self.messages += 1
        self.stop_reason = ""
        self._usage = ApiUsage()
        if event.message:
            self._count(event.message.usage)
        if self.messages > 1:
            return []

        model = event.message.model if event.message else ""
        return [Started(model, self._live, self._queued)]

    def _start(self, block: ContentBlock | None) -> list[Event]:
        kind = _KINDS.get(block.type) if block else None
        if block is None or kind is None or (kind == "text" and self.structured):
            return []
        if self.structured and block.name == STRUCTURED_OUTPUT:
            kind = "text"

        self.answered = self.answered or kind != "reasoning"
        call_id = ""
        if kind == "tool_call":
            call_id = "call" + "".join(secrets.choice(_ALPHABET) for _ in range(24))
            self.ids[call_id] = block.id
        self._open = PartStarted(self._next, kind, call_id, block.name if call_id else "")
        self._next += 1
        if block.text:
            return [self._open, PartDelta(self._open.index, block.text)]

        return [self._open]

    def _delta(self, delta: Delta | None) -> list[Event]:
        if delta is None or self._open is None:
            return []

        text = delta.text or delta.partial_json or delta.thinking
        return [PartDelta(self._open.index, text)] if text else []

    def _count(self, usage: ApiUsage | None) -> None:
        for name in ApiUsage.__struct_fields__ if usage else ():
            value = getattr(usage, name)
            if value is not None:
                setattr(self._usage, name, value)
