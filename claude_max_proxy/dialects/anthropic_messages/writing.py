"""Writes events as the Messages API streams them, and a whole reply as a message. Pure.

A stream consists of ``message_start``, the blocks one after the other, ``message_delta`` with the stop reason
and the usage, and ``message_stop``. The number of input tokens is certain only at the end, so the usage in
``message_start`` is zero.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from claude_max_proxy import (
    Event,
    Failed,
    Finished,
    PartDelta,
    PartEnded,
    PartStarted,
    Reasoning,
    Reply,
    Started,
    Usage,
    formats,
)
from claude_max_proxy.anthropic_messages import (
    Block,
    stop_reason,
    thinking_block,
    write_block,
    write_usage,
)
from claude_max_proxy.dialects.anthropic_messages.envelope import envelope


_encode = msgspec.json.encode
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":'
_DELTAS = {
    "text": b'"text_delta","text":',
    "reasoning": b'"thinking_delta","thinking":',
    "tool_call": b'"input_json_delta","partial_json":',
}
_END = b"}}\n\n"


class MessageWriter:
    """Writes one answer; ``thoughts`` says what the client sees of them: "all", "signatures" or "none"."""

    def __init__(self, model: str, *, thoughts: str = "all") -> None:
        """Begin a message with a new id."""
        self._head = {"id": "msg_" + secrets.token_hex(12), "type": "message", "role": "assistant"}
        self._model = model
        self._thoughts = thoughts
        self._usage = Usage()
        self._part: PartStarted | None = None
        self._begun = False
        self._index = 0
        self._prefix = b""

    def write(self, event: Event) -> bytes:
        """Return the events of the stream that this event stands for."""
        match event:
            case PartDelta(text=text):
                return self._delta(text) if text and self._part else b""
            case PartStarted():
                return self._start(event)
            case PartEnded():
                return self._end(event)
            case Started():
                message = self._message([], None, "", Usage())
                return _event("message_start", {"message": message})
            case Usage():
                self._usage = event
                return b""
            case Finished(reason=reason, stop_sequence=sequence):
                delta = {"stop_reason": stop_reason(reason, sequence), "stop_sequence": sequence or None}
                fields = {"delta": delta, "usage": write_usage(self._usage)}
                return _event("message_delta", fields) + _event("message_stop", {})
            case Failed(error=error):  # pragma: no branch  # the union is closed
                return b"event: error\ndata: " + _encode(envelope(error)) + b"\n\n"

    def keep_alive(self) -> bytes:
        """Return a ping."""
        return _PING

    def whole(self, reply: Reply) -> bytes:
        """Return a message."""
        blocks = []
        for part in reply.parts:
            if not isinstance(part, Reasoning):
                block = write_block(part, formats.tool_ids.for_anthropic)
                blocks += [block] if block else []
            elif thought := self._shown(part):
                blocks.append(thinking_block(thought))
        stop = stop_reason(reply.reason, reply.stop_sequence)
        return _encode(self._message(blocks, stop, reply.stop_sequence, reply.usage or Usage()))

    def _shown(self, thought: Reasoning) -> Reasoning | None:
        """Return what the client sees of a thought, or ``None`` for nothing."""
        text = thought.text if self._thoughts == "all" else ""
        seen = self._thoughts != "none" and (text or thought.signature)
        return Reasoning(text, thought.signature, thought.redacted) if seen else None

    def _message(self, blocks: list[Block], stop: str | None, sequence: str, usage: Usage) -> dict[str, Any]:
        return {
            **self._head,
            "model": self._model,
            "content": blocks,
            "stop_reason": stop,
            "stop_sequence": sequence or None,
            "usage": write_usage(usage),
        }

    # --- blocks

    def _start(self, part: PartStarted) -> bytes:
        """Begin a block. A thought only begins with its first word, since it may turn out to be redacted."""
        if part.kind == "reasoning" and self._thoughts == "none":
            return b""

        self._part, self._begun = part, False
        self._prefix = _DELTA % self._index + _DELTAS[part.kind]
        if part.kind == "text":
            return self._begin({"type": "text", "text": ""})
        if part.kind == "tool_call":
            id_ = formats.tool_ids.for_anthropic(part.id)
            return self._begin({"type": "tool_use", "id": id_, "name": part.name, "input": {}})
        return b""

    def _begin(self, block: Block) -> bytes:
        self._begun = True
        return _event("content_block_start", {"index": self._index, "content_block": block})

    def _delta(self, text: str) -> bytes:
        if self._begun:
            return self._prefix + _encode(text) + _END

        if self._thoughts == "signatures":
            return b""
        return self._begin(thinking_block(Reasoning(""))) + self._prefix + _encode(text) + _END

    def _end(self, end: PartEnded) -> bytes:
        if self._part is None:
            return b""

        written = self._sign(end) if end.signature else b""
        self._part = None
        if self._begun:
            written += _event("content_block_stop", {"index": self._index})
            self._index += 1
        return written

    def _sign(self, end: PartEnded) -> bytes:
        """Return the end of a thought, or the whole thought if it was not begun."""
        if end.redacted:
            return self._begin(thinking_block(Reasoning("", end.signature, redacted=True)))

        written = b"" if self._begun else self._begin(thinking_block(Reasoning("")))
        delta = {"type": "signature_delta", "signature": end.signature}
        return written + _event("content_block_delta", {"index": self._index, "delta": delta})


def _event(name: str, fields: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode({"type": name, **fields}))
