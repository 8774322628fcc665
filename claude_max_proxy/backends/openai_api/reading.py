"""Reads the answer to a chat completion into events. Pure: it takes bytes, cut anywhere, and returns events.

A stream consists of server-sent events with chunks, and ends with ``[DONE]``, which some servers leave out.
If a server answers with one JSON document although it was asked for a stream, that is also understood.
"""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import Event, Failed, Finished, FinishReason, ProxyError, Started, Usage
from claude_max_proxy.anthropic_messages import ToolNames
from claude_max_proxy.backends.openai_api.lanes import Lanes
from claude_max_proxy.backends.openai_api.schemas import CallDelta, Choice, Chunk, Delta, WireUsage
from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.formats import SseDecoder, SseOpening
from claude_max_proxy.http_upstream import upstream_error


_decoder = msgspec.json.Decoder(Chunk)
_decode = _decoder.decode
_WHOLE_LIMIT = 64 * 1024 * 1024
_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class AnswerReader:
    """Reads one answer. ``ended`` says that its last event was read, ``error`` why it failed, if it did."""

    def __init__(self, backend: str, names: ToolNames | None = None) -> None:
        """Prepare to read an answer of ``backend``; ``names`` maps the names of the client's tools."""
        self.ended = False
        self.error: ProxyError | None = None
        self._backend = backend
        self._names = names or ToolNames()
        self._sse = SseDecoder()
        self._whole: bytearray | None = None
        self._opening = SseOpening()
        self._started = False
        self._lanes = Lanes()
        self._reason = ""
        self._usage: WireUsage | None = None

    def feed(self, piece: bytes) -> list[Event]:
        """Take more bytes, and return the events that they complete.

        Raises :class:`ValueError` or ``msgspec.DecodeError`` for what is no answer of this API.
        """
        if self._opening.is_document(piece):
            self._whole = bytearray()
        if self._whole is not None:
            self._whole += piece
            if len(self._whole) > _WHOLE_LIMIT:
                raise ValueError(f"more than {_WHOLE_LIMIT} bytes")
            return []

        events: list[Event] = []
        for event in self._sse.feed(piece):
            if self.ended:
                break
            if event.data == "[DONE]":
                events += self._end()
            elif event.event == "error":
                events.append(self._fail(upstream_error(msgspec.json.decode(event.data), self._backend)))
            elif event.data:
                self._chunk(_decode(event.data), events)
        return events

    def finish(self) -> list[Event]:
        """Take note of the end of the bytes, and return the remaining events.

        An answer with a reason to stop is complete, even without ``[DONE]``.
        """
        events: list[Event] = []
        if self._whole is not None and not self.ended:
            try:
                self._chunk(_decode(self._whole), events)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                return [self._fail(UpstreamFailed(f"the provider's answer cannot be read: {error}"))]
        if self.ended:
            return events
        if self._reason:
            return [*events, *self._end()]

        return [*events, self._fail(UpstreamFailed("the provider's answer stopped before its end"))]

    def _chunk(self, chunk: Chunk, events: list[Event]) -> None:
        """Read one chunk, and append the events that it means to ``events``."""
        if chunk.error is not None or chunk.object == "error":
            bare = {"message": chunk.message, "code": chunk.code}
            value = bare if chunk.error is None else {"error": chunk.error}
            events.append(self._fail(upstream_error(value, self._backend)))
            return

        if not self._started:
            self._started = True
            events.append(Started(chunk.model or ""))
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.choices:
            self._choice(chunk.choices[0], events)

    def _choice(self, choice: Choice, events: list[Event]) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            self._delta(delta, events)
        if choice.finish_reason == "error":
            events.append(self._fail(UpstreamFailed("the provider failed in the middle of its answer")))
        elif choice.finish_reason:
            self._reason = choice.finish_reason

    def _delta(self, delta: Delta, events: list[Event]) -> None:
        if reasoning := delta.reasoning_content or delta.reasoning:
            events += self._lanes.text("reasoning", reasoning)
        if isinstance(delta.content, list):
            self._content_parts(delta.content, events)
        elif delta.content:
            events += self._lanes.text("text", delta.content)
        if delta.refusal:
            events += self._lanes.text("text", delta.refusal)
        for call in delta.tool_calls or ():
            self._call(call, events)

    def _content_parts(self, parts: list[Any], events: list[Event]) -> None:
        """Read content in parts, which Mistral's reasoning models send."""
        for part in parts:
            match part:
                case {"type": "text", "text": str(text)} if text:
                    events += self._lanes.text("text", text)
                case {"type": "thinking", "thinking": [*thoughts]}:
                    for thought in thoughts:
                        if isinstance(thought, dict) and thought.get("text"):
                            events += self._lanes.text("reasoning", str(thought["text"]))
                case _:
                    pass

    def _call(self, call: CallDelta, events: list[Event]) -> None:
        name, arguments = "", ""
        if call.function is not None:
            name = call.function.name or ""
            name = self._names.client.get(name, name)
            given = call.function.arguments
            arguments = msgspec.json.encode(given).decode() if isinstance(given, dict) else given or ""
        events += self._lanes.call(call.index, call.id or "", name, arguments)

    def _end(self) -> list[Event]:
        """Return the events that complete the answer."""
        self.ended = True
        if not self._started:
            return [self._fail(UpstreamFailed("the provider's answer is empty"))]

        events = self._lanes.finish()
        if self._usage is not None:
            events.append(usage(self._usage))
        reason = _REASONS.get(self._reason, "stop")
        if reason in {"stop", "tool_calls"}:
            reason = "tool_calls" if self._lanes.calls else "stop"
        return [*events, Finished(reason)]

    def _fail(self, error: ProxyError) -> Failed:
        self.ended, self.error = True, error
        return Failed(error)


def usage(wire: WireUsage) -> Usage:
    """Convert the API's usage to ours: in the API's, the prompt's tokens include the cached ones."""
    details = wire.prompt_tokens_details
    read = (details.cached_tokens or 0) if details else 0
    written = (details.cache_write_tokens or 0) if details else 0
    completion = wire.completion_tokens_details
    return Usage(
        max(0, (wire.prompt_tokens or 0) - read - written),
        wire.completion_tokens or 0,
        read,
        written,
        completion.reasoning_tokens if completion else None,
    )
