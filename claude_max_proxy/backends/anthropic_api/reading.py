"""Reads the answer of the Messages API into events. Pure: it takes bytes, cut anywhere."""

from __future__ import annotations

import msgspec

from claude_max_proxy import Event, Failed, Finished, ProxyError
from claude_max_proxy.anthropic_messages import ContentBlock, MessageReader, StreamEvent, ToolNames
from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.formats import SseDecoder, SseOpening
from claude_max_proxy.http_upstream import upstream_error


_decode = msgspec.json.Decoder(StreamEvent).decode


class AnswerReader(MessageReader):
    """Reads one answer. ``ended`` says that its last event was read, ``error`` why it failed, if it did."""

    def __init__(self, backend: str, answer_tool: str = "", names: ToolNames | None = None) -> None:
        """Prepare to read an answer of ``backend``.

        ``answer_tool`` names the tool whose input is a structured answer; text of the model is then not part
        of the answer. ``names`` maps the names of the client's tools.
        """
        super().__init__()
        self.ended = False
        self.error: ProxyError | None = None
        self._backend = backend
        self._answer_tool = answer_tool
        self._names = names or ToolNames()
        self._sse = SseDecoder()
        self._opening = SseOpening()

    def feed(self, piece: bytes) -> list[Event]:
        """Take more bytes, and return the events that they complete.

        Raises :class:`ValueError` or ``msgspec.DecodeError`` for what is no answer of this API.
        """
        if self._opening.is_document(piece):
            raise ValueError("not a stream of events")
        events: list[Event] = []
        for event in self._sse.feed(piece):
            if self.ended:
                break
            if event.data:
                events += self.read(_decode(event.data))
        return events

    def finish(self) -> list[Event]:
        """Take note of the end of the bytes; an answer that is not complete has failed."""
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
