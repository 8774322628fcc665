"""Writes events as the events of a streamed response, and a whole reply as a response. Pure.

A stream begins with ``response.created`` and ``response.in_progress``. For each part of the answer, an item
is added, written and done. The stream ends with ``response.completed``, ``response.incomplete`` or
``response.failed``. Events are numbered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    ProxyError,
    Reasoning,
    Reply,
    Started,
    Text,
    ToolCall,
    Usage,
)
from claude_max_proxy.dialects.openai_responses.envelope import Envelope
from claude_max_proxy.dialects.openai_responses.free_text import Unwrapping
from claude_max_proxy.dialects.openai_responses.output import Item, Items, output_text, summary_text


Keep = Callable[[str, bytes, list[Item]], None]
_encode = msgspec.json.encode
_ARGUMENTS = "response.function_call_arguments"
_INPUT = "response.custom_tool_call_input"
_SUMMARY = "response.reasoning_summary"


class ResponsesWriter:
    """Writes one answer in the form of the Responses API.

    ``keep`` is called with a response that is complete: its id, its body and its output.
    """

    def __init__(self, envelope: Envelope, items: Items, keep: Keep | None = None) -> None:
        """Prepare to write the answer."""
        self._envelope = envelope
        self._items = items
        self._keep = keep
        self._number = 0
        self._begun = False
        self._usage: Usage | None = None
        self._output: list[Item] = []
        self._part: PartStarted | None = None
        self._item: Item = {}
        self._place = b""
        self._pieces: list[str] = []
        self._free = Unwrapping()

    def write(self, event: Event) -> bytes:
        """Return the events of the stream that this event stands for."""
        match event:
            case PartDelta(text=text):
                return self._delta(text) if text else b""
            case PartStarted():
                return self._begin() + self._start(event)
            case PartEnded():
                return self._end(event)
            case Started():
                return self._begin()
            case Usage():
                self._usage = event
                return b""
            case Finished(reason=reason):
                return self._begin() + self._finish(reason)
            case Failed(error=error):  # pragma: no branch  # the union is closed
                return self._begin() + self._fail(error)

    def keep_alive(self) -> bytes:
        """Return ``response.in_progress`` again, since clients that watch for silence ignore comments."""
        return self._begin() or self._told("response.in_progress", self._envelope.begun())

    def whole(self, reply: Reply) -> bytes:
        """Return a response."""
        output = [self._items.ended(part) for part in reply.parts]
        _, body = self._envelope.finished(reply.reason, output, reply.usage)
        self._remember(body, output)
        return body

    # --- the response

    def _begin(self) -> bytes:
        if self._begun:
            return b""

        self._begun = True
        body = self._envelope.begun()
        return self._told("response.created", body) + self._told("response.in_progress", body)

    def _finish(self, reason: str) -> bytes:
        status, body = self._envelope.finished(reason, self._output, self._usage)
        self._remember(body, self._output)
        return self._told(f"response.{status}", body)

    def _fail(self, error: ProxyError) -> bytes:
        return self._told("response.failed", self._envelope.failed(error, self._output, self._usage))

    def _remember(self, body: bytes, output: list[Item]) -> None:
        if self._keep is not None:
            self._keep(self._envelope.id, body, output)

    # --- one part

    def _start(self, part: PartStarted) -> bytes:
        self._part, self._item = part, self._items.begun(part)
        self._pieces.clear()
        place = {"item_id": self._item["id"], "output_index": len(self._output)}
        self._place = _encode(place)[1:-1]
        added = self._placed("response.output_item.added", item=self._item)
        match self._item["type"]:
            case "message":
                return added + self._placed(
                    "response.content_part.added", content_index=0, part=output_text("")
                )
            case "custom_tool_call":
                self._free = Unwrapping()
        return added

    def _delta(self, text: str) -> bytes:
        first = not self._pieces
        self._pieces.append(text)
        match self._item["type"]:
            case "message":
                return self._text("response.output_text.delta", b'"content_index":0,"logprobs":[]', text)
            case "reasoning":
                return self._thought(text, first=first) if self._items.shows_thoughts else b""
            case "custom_tool_call":
                more = self._free.feed(text)
                return self._placed(f"{_INPUT}.delta", delta=more) if more else b""
            case _:
                return self._placed(f"{_ARGUMENTS}.delta", delta=text)

    def _thought(self, text: str, *, first: bool) -> bytes:
        added = b""
        if first:
            added = self._placed(f"{_SUMMARY}_part.added", summary_index=0, part=summary_text(""))
        return added + self._placed(f"{_SUMMARY}_text.delta", summary_index=0, delta=text)

    def _end(self, end: PartEnded) -> bytes:
        part = self._part
        if part is None:  # a plugin has taken the beginning of the part out of the answer
            return b""

        text = "".join(self._pieces)
        done = self._items.ended(_whole(part, text, end), self._item["id"])
        last = self._last_words(done, text)
        last += self._placed("response.output_item.done", item=done)
        self._output.append(done)
        self._part = None
        return last

    def _last_words(self, item: Item, text: str) -> bytes:
        """Return the events that repeat a whole part at its end."""
        match item["type"]:
            case "message":
                said = self._placed("response.output_text.done", content_index=0, logprobs=[], text=text)
                part = item["content"][0]
                return said + self._placed("response.content_part.done", content_index=0, part=part)
            case "reasoning" if item["summary"]:
                said = self._placed(f"{_SUMMARY}_text.done", summary_index=0, text=text)
                part = item["summary"][0]
                return said + self._placed(f"{_SUMMARY}_part.done", summary_index=0, part=part)
            case "reasoning":
                return b""
            case "custom_tool_call":
                rest, _ = self._free.end()
                said = self._placed(f"{_INPUT}.delta", delta=rest) if rest else b""
                return said + self._placed(f"{_INPUT}.done", input=item["input"])
            case _:
                arguments = item["arguments"]
                said = b"" if text else self._placed(f"{_ARGUMENTS}.delta", delta=arguments)
                return said + self._placed(f"{_ARGUMENTS}.done", name=item["name"], arguments=arguments)

    # --- one event

    def _placed(self, name: str, /, **fields: Any) -> bytes:
        """Return an event about the open part."""
        return self._event(name, self._place + b"," + _encode(fields)[1:-1])

    def _text(self, name: str, constant: bytes, delta: str) -> bytes:
        """Return the event that comes most often; this is faster than :meth:`_placed`."""
        return self._event(name, self._place + b"," + constant + b',"delta":' + _encode(delta))

    def _told(self, name: str, body: bytes) -> bytes:
        """Return an event about the whole response."""
        return self._event(name, b'"response":' + body)

    def _event(self, name: str, fields: bytes) -> bytes:
        head = b'event: %b\ndata: {"type":"%b","sequence_number":%d,' % (
            name.encode(),
            name.encode(),
            self._number,
        )
        self._number += 1
        return head + fields + b"}\n\n"


def _whole(part: PartStarted, text: str, end: PartEnded) -> Text | Reasoning | ToolCall:
    match part.kind:
        case "text":
            return Text(text)
        case "reasoning":
            return Reasoning(text, end.signature, end.redacted)
        case "tool_call":  # pragma: no branch  # the union is closed
            return ToolCall(part.id, part.name, text or "{}")
