"""Reads the answer of the Messages API into events. Pure: bytes in, events out, cut anywhere."""

from __future__ import annotations

import msgspec

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    FinishReason,
    PartDelta,
    PartEnded,
    PartKind,
    PartStarted,
    ProxyError,
    SseDecoder,
    Started,
    UpstreamFailed,
    Usage,
    upstream_error,
)
from claude_max_proxy.backends.anthropic_api.schemas import (
    ApiUsage,
    ContentBlock,
    Delta,
    StreamEvent,
)


_decode = msgspec.json.Decoder(StreamEvent).decode
_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class AnswerReader:
    """Reads one answer of ``backend``. ``ended`` says that its last word was heard.

    ``answer_tool`` names the tool whose input is the text of a structured answer; what the model says beside
    it is not part of the answer.
    """

    def __init__(self, backend: str, answer_tool: str = "") -> None:
        """Begin with nothing heard."""
        self.ended = False
        self.error: ProxyError | None = None
        self._backend = backend
        self._answer_tool = answer_tool
        self._sse = SseDecoder()
        self._begun = False
        self._index = 0
        self._open = False
        self._calls = 0
        self._reason = ""
        self._usage = ApiUsage()

    def feed(self, piece: bytes) -> list[Event]:
        """Take more bytes. Raises :class:`ValueError` or ``msgspec.DecodeError`` for what is no answer."""
        if not self._begun and piece.strip():
            self._begun = True
            if piece.lstrip()[:1] in {b"{", b"[", b"<"}:
                raise ValueError("not a stream of events")
        events: list[Event] = []
        for event in self._sse.feed(piece):
            if self.ended:
                break
            if event.data:
                self._event(_decode(event.data), events)
        return events

    def finish(self) -> list[Event]:
        """Take the end of the bytes."""
        if self.ended:
            return []

        return [self._fail(UpstreamFailed("the provider's answer stopped before its end"))]

    def _event(self, event: StreamEvent, events: list[Event]) -> None:
        """Take one event; what it means is added to ``events``."""
        match event.type:
            case "content_block_delta":
                self._delta(event.delta, events)
            case "content_block_start":
                self._start(event.content_block, events)
            case "content_block_stop":
                self._close(events)
            case "message_start":
                if event.message:
                    self._count(event.message.usage)
                events.append(Started(event.message.model if event.message else ""))
            case "message_delta":
                self._reason = (event.delta and event.delta.stop_reason) or self._reason
                self._count(event.usage)
            case "message_stop":
                self._close(events)
                events += [self._total(), Finished(self._why())]
                self.ended = True
            case "error":
                events.append(self._fail(upstream_error({"error": event.error}, self._backend)))
            case _:  # "ping", and what the API will have one day
                pass

    def _start(self, block: ContentBlock | None, events: list[Event]) -> None:
        match block:
            case ContentBlock(type="tool_use", name=name) if name == self._answer_tool:
                self._part("text", events)
            case ContentBlock(type="tool_use"):
                self._calls += 1
                self._part("tool_call", events, block.id, block.name)
            case ContentBlock(type="text") if not self._answer_tool:
                self._part("text", events)
            case ContentBlock(type="thinking"):
                self._part("reasoning", events)
            case _:
                return
        if block.input:  # all at once, where another service speaks this API
            self._say(msgspec.json.encode(block.input).decode(), events)
        self._say(block.text or block.thinking, events)

    def _part(self, kind: PartKind, events: list[Event], call_id: str = "", name: str = "") -> None:
        self._close(events)
        self._open = True
        events.append(PartStarted(self._index, kind, call_id, name))

    def _delta(self, delta: Delta | None, events: list[Event]) -> None:
        if delta is not None:
            self._say(delta.text or delta.partial_json or delta.thinking, events)

    def _say(self, text: str | None, events: list[Event]) -> None:
        if text and self._open:
            events.append(PartDelta(self._index, text))

    def _close(self, events: list[Event]) -> None:
        if self._open:
            self._open = False
            events.append(PartEnded(self._index))
            self._index += 1

    def _why(self) -> FinishReason:
        reason = _REASONS.get(self._reason, "stop")
        if reason in {"stop", "tool_calls"}:
            return "tool_calls" if self._calls else "stop"

        return reason

    def _count(self, usage: ApiUsage | None) -> None:
        for name in ApiUsage.__struct_fields__ if usage else ():
            if (value := getattr(usage, name)) is not None:
                setattr(self._usage, name, value)

    def _total(self) -> Usage:
        tokens = self._usage
        details = tokens.output_tokens_details
        return Usage(
            tokens.input_tokens or 0,
            tokens.output_tokens or 0,
            tokens.cache_read_input_tokens or 0,
            tokens.cache_creation_input_tokens or 0,
            details.thinking_tokens if details else None,
        )

    def _fail(self, error: ProxyError) -> Failed:
        self.ended, self.error = True, error
        return Failed(error)
