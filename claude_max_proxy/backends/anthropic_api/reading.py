"""Reads the answer of the Messages API into events. Pure: bytes in, events out, cut anywhere."""

from __future__ import annotations

import msgspec

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    ProxyError,
    SseDecoder,
    UpstreamFailed,
    upstream_error,
)
from claude_max_proxy.messages_api import ContentBlock, MessageReader, StreamEvent, ToolNames


_decode = msgspec.json.Decoder(StreamEvent).decode


class AnswerReader(MessageReader):
    """Reads one answer of ``backend``. ``ended`` says that its last word was heard.

    ``answer_tool`` names the tool whose input is the text of a structured answer; what the model says beside
    it is not part of the answer. ``names`` maps the names of the client's tools.
    """

    def __init__(self, backend: str, answer_tool: str = "", names: ToolNames | None = None) -> None:
        """Begin with nothing heard."""
        super().__init__()
        self.ended = False
        self.error: ProxyError | None = None
        self._backend = backend
        self._answer_tool = answer_tool
        self._names = names or ToolNames()
        self._sse = SseDecoder()
        self._begun = False

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
                events += self.read(_decode(event.data))
        return events

    def finish(self) -> list[Event]:
        """Take the end of the bytes."""
        if self.ended:
            return []

        return [self._fail(UpstreamFailed("the provider's answer stopped before its end"))]

    def _rest(self, event: StreamEvent) -> list[Event]:
        match event.type:
            case "message_stop":
                self.ended = True
                return [*self.close(), self.usage, Finished(self.reason, self.stop_sequence)]
            case "error":
                return [self._fail(upstream_error({"error": event.error}, self._backend))]
            case _:
                return []

    def _text(self, text: str) -> list[Event]:
        return [] if self._answer_tool else super()._text(text)

    def _call(self, block: ContentBlock) -> list[Event]:
        if self._answer_tool and block.name == self._answer_tool:
            return self._part("text") + self._input(block)

        block.name = self._names.client.get(block.name, block.name)
        return super()._call(block)

    def _fail(self, error: ProxyError) -> Failed:
        self.ended, self.error = True, error
        return Failed(error)
