"""One turn: the CLI's stream events in, our events out. Pure.

A turn may span several messages of the upstream (the CLI goes on by itself after tool results), so block
indexes start again while ours go on.
"""

from __future__ import annotations

import secrets
import string

from claude_max_proxy import (
    Event,
    FinishReason,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    Request,
    Started,
    Usage,
)
from claude_max_proxy.backends.claude_cli.protocol import (
    ApiUsage,
    ContentBlock,
    Delta,
    StreamEvent,
)
from claude_max_proxy.backends.claude_cli.tools import STRUCTURED_OUTPUT, Names, is_sound


_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_ALPHABET = string.ascii_letters + string.digits


class Turn:
    """Translates one turn. ``ids`` maps each tool call's id as the client sees it to the upstream's own.

    With a schema the answer is the input of one tool of the CLI's own, and becomes the text; what the model
    says beside it is not part of the answer. A whole answer waits until the CLI has found it right. With an
    agent, what it does with its own tools is not shown. ``stray`` says that the model called a tool that
    nobody offered, or with arguments that are no object: the CLI would answer such a call by itself, and ask
    again. ``answered`` says that the client has begun to hear an answer.
    """

    def __init__(self, request: Request, *, live: bool, queued: float) -> None:
        """Begin a turn, of a conversation that goes on in place or not, after waiting ``queued`` seconds."""
        self.structured = request.response_schema is not None
        self.agent = request.agent is not None
        self.names = Names(request.tools)
        self.ids: dict[str, str] = {}
        self.stop_reason = ""
        self.stray = self.answered = False
        self._held: list[str] | None = None if request.stream else []
        self._messages = 0
        self._texts = 0
        self._live, self._queued = live, queued
        self._next = 0
        self._open: PartStarted | None = None
        self._holding = False
        self._arguments: list[str] = []
        self._usage = ApiUsage()

    @property
    def goes_on(self) -> bool:
        """Whether the CLI goes on by itself after a message: to check a structured answer, or to work."""
        return (self.structured or self.agent) and not self.ids

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
        reason = _REASONS.get(self.stop_reason, "stop")
        if reason in {"stop", "tool_calls"}:
            return "tool_calls" if self.ids else "stop"

        return reason

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
        part, self._open, self._holding = self._open, None, False
        if part is not None and part.kind == "tool_call":
            self.stray = self.stray or not is_sound("".join(self._arguments))
        return [PartEnded(part.index)] if part else []

    def release(self) -> list[Event]:
        """Give the structured answer that was held back."""
        if not (self.structured and self._held):
            return []

        self.answered = True
        part = PartStarted(self._next, "text")
        return [part, PartDelta(part.index, "".join(self._held)), PartEnded(part.index)]

    @property
    def holds_answer(self) -> bool:
        """Whether a structured answer was given at all."""
        return self.answered or bool(self._held)

    def _message(self, event: StreamEvent) -> list[Event]:
        self._messages += 1
        self.stop_reason = ""
        self._usage = ApiUsage()
        if event.message:
            self._count(event.message.usage)
        if self._messages > 1:
            return []

        model = event.message.model if event.message else ""
        return [Started(model, self._live, self._queued)]

    def _start(self, block: ContentBlock | None) -> list[Event]:
        match block:
            case ContentBlock(type="tool_use"):
                return self._tool(block)
            case ContentBlock(type="text") if not self.structured:
                return self._text(block.text)
            case ContentBlock(type="thinking"):
                return self._part("reasoning")
            case _:
                return []

    def _text(self, text: str) -> list[Event]:
        self.answered = True
        self._texts += 1
        events = self._part("text")
        apart = "\n\n" if self.agent and self._texts > 1 else ""  # what was said between two deeds
        return [*events, PartDelta(self._next - 1, apart + text)] if apart + text else events

    def _tool(self, block: ContentBlock) -> list[Event]:
        if self.structured and block.name == STRUCTURED_OUTPUT:
            return self._structured_answer()

        name = self.names.client.get(block.name)
        if name is None and self.agent:
            return []

        self.stray = self.stray or name is None
        self.answered = True
        call_id = "call" + "".join(secrets.choice(_ALPHABET) for _ in range(24))
        self.ids[call_id] = block.id
        return self._part("tool_call", call_id, name or block.name)

    def _structured_answer(self) -> list[Event]:
        if self._held is None:
            self.answered = True
            return self._part("text")

        self._held.clear()
        self._holding = True
        return []

    def _part(self, kind: PartKind, call_id: str = "", name: str = "") -> list[Event]:
        self._open = PartStarted(self._next, kind, call_id, name)
        self._arguments.clear()
        self._next += 1
        return [self._open]

    def _delta(self, delta: Delta | None) -> list[Event]:
        text = (delta.text or delta.partial_json or delta.thinking) if delta else ""
        if text and self._open is not None:
            if self._open.kind == "tool_call":
                self._arguments.append(text)
            return [PartDelta(self._open.index, text)]
        if text and self._holding and self._held is not None:
            self._held.append(text)
        return []

    def _count(self, usage: ApiUsage | None) -> None:
        for name in ApiUsage.__struct_fields__ if usage else ():
            value = getattr(usage, name)
            if value is not None:
                setattr(self._usage, name, value)
