"""Encodes the server-sent events of the Messages API.

Everything here is pure except the ids, which are new each time. Each event is one `bytes` object.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

from claude_max_proxy.testing.answers import (
    Block,
    Fault,
    RedactedThinking,
    Reply,
    Text,
    Thinking,
    ToolUse,
    words,
)


_WORD = re.compile(r"\s*\S+|\s+")
_DELTA = b"event: content_block_delta\n"
_INPUT_PIECES = 8


def event(name: str, data: dict[str, Any]) -> bytes:
    """Return an event: its name, and the data, which begins with the name as its `type`."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode({"type": name, **data}))


def is_delta(frame: bytes) -> bool:
    """Return whether this event is a piece of a block's content."""
    return frame.startswith(_DELTA)


def error_event(type_name: str, message: str) -> bytes:
    """Return the event with which the API ends a stream that has failed in the middle."""
    return event("error", {"error": {"type": type_name, "message": message}})


def new_id(prefix: str) -> str:
    """Return a unique id in the API's form: the prefix, an underscore and 24 hexadecimal digits."""
    return f"{prefix}_{secrets.token_hex(12)}"


def stream(reply: Reply, model: str) -> list[bytes]:
    """Return all events of a reply, from message_start to message_stop."""
    frames = [_message_start(reply, model)]
    for index, block in enumerate(reply.blocks):
        start, *deltas = _block_events(index, block)
        frames.append(start)
        if index == 0:
            frames.append(event("ping", {}))
        frames += deltas
        frames.append(event("content_block_stop", {"index": index}))
    tokens = reply.output_tokens
    if tokens is None:
        tokens = max(1, sum(map(is_delta, frames)))
    delta = {"stop_reason": reply.stopped_by, "stop_sequence": reply.stop_sequence}
    frames.append(event("message_delta", {"delta": delta, "usage": usage(reply, tokens)}))
    frames.append(event("message_stop", {}))
    return frames


def opening(deltas: int, model: str) -> list[bytes]:
    """Return the events of a reply that breaks off after this many text deltas."""
    reply = Reply((Text(words(deltas)),))
    # The last delta is followed by content_block_stop, message_delta and message_stop.
    return stream(reply, model)[:-3]


def batches(frames: list[bytes], size: int) -> Iterator[bytes]:
    """Yield batches of `size` events, each of which is written at once."""
    for start in range(0, len(frames), size):
        yield b"".join(frames[start : start + size])


def paced_batches(frames: list[bytes], begins: Callable[[bytes], bool] = is_delta) -> Iterator[bytes]:
    """Yield batches of events, each of which contains one delta and what follows it."""
    batch: list[bytes] = []
    held = False
    for frame in frames:
        if begins(frame):
            if held:
                yield b"".join(batch)
                batch = []
            held = True
        batch.append(frame)
    yield b"".join(batch)


def message(reply: Reply, model: str) -> dict[str, Any]:
    """Return the reply as a JSON message, which a request without `stream` gets."""
    content = [_whole(block) for block in reply.blocks]
    tokens = reply.output_tokens
    if tokens is None:
        count = sum(len(_block_events(0, block)) - 1 for block in reply.blocks)
        tokens = max(1, count)
    return {
        **_message(reply, model, tokens),
        "content": content,
        "stop_reason": reply.stopped_by,
        "stop_sequence": reply.stop_sequence,
    }


def envelope(fault: Fault, request_id: str) -> dict[str, Any]:
    """Return the JSON of an HTTP error."""
    error = {"type": fault.type, "message": fault.message}
    return {"type": "error", "error": error, "request_id": request_id}


def usage(reply: Reply, output_tokens: int) -> dict[str, Any]:
    """Return the usage of a reply, in tokens, of which `output_tokens` were written so far."""
    return {
        "input_tokens": reply.input_tokens,
        "cache_creation_input_tokens": reply.cache_write,
        "cache_read_input_tokens": reply.cache_read,
        "output_tokens": output_tokens,
    }


def _message(reply: Reply, model: str, output_tokens: int) -> dict[str, Any]:
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage(reply, output_tokens), "service_tier": "standard"},
    }


def _message_start(reply: Reply, model: str) -> bytes:
    return event("message_start", {"message": _message(reply, model, output_tokens=1)})


def _block_events(index: int, block: Block) -> list[bytes]:
    """Return the content_block_start and the deltas of a block."""
    match block:
        case Text():
            return [_block_start(index, {"type": "text", "text": ""}), *_text_deltas(index, block)]
        case Thinking():
            return _thinking_events(index, block)
        case RedactedThinking():
            return [_block_start(index, _whole(block))]
        case ToolUse():  # pragma: no branch  # the union is closed
            return _tool_events(index, block)


def _block_start(index: int, block: dict[str, Any]) -> bytes:
    return event("content_block_start", {"index": index, "content_block": block})


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return event("content_block_delta", {"index": index, "delta": delta})


@lru_cache(maxsize=32)
def _text_deltas(index: int, block: Text) -> tuple[bytes, ...]:
    """Return the deltas of a text, which are cached: benchmarks ask for the same long text many times."""
    pieces = _pieces(block.text, block.chunks) if block.chunks else _WORD.findall(block.text)
    return tuple(_delta(index, {"type": "text_delta", "text": piece}) for piece in pieces)


def _thinking_events(index: int, block: Thinking) -> list[bytes]:
    start = _block_start(index, {"type": "thinking", "thinking": "", "signature": ""})
    pieces = _WORD.findall(block.text)
    deltas = [_delta(index, {"type": "thinking_delta", "thinking": piece}) for piece in pieces]
    signature = {"type": "signature_delta", "signature": _signature(block)}
    return [start, *deltas, _delta(index, signature)]


def _tool_events(index: int, block: ToolUse) -> list[bytes]:
    start = _block_start(index, {**_whole(block), "input": {}})
    text = msgspec.json.encode(block.input).decode() if block.raw is None else block.raw
    # The real API begins with an empty piece.
    pieces = ["", *_pieces(text, _INPUT_PIECES)]
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return [start, *(_delta(index, delta) for delta in deltas)]


def _whole(block: Block) -> dict[str, Any]:
    """Return the block in the form that a whole message contains."""
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Thinking():
            signature = _signature(block)
            return {"type": "thinking", "thinking": block.text, "signature": signature}
        case RedactedThinking():
            return {"type": "redacted_thinking", "data": block.data}
        case ToolUse():  # pragma: no branch  # the union is closed
            call_id = block.id or new_id("toolu")
            return {"type": "tool_use", "id": call_id, "name": block.name, "input": block.input}


def _signature(block: Thinking) -> str:
    """Return a signature that is always the same for the same thought, so that tests can look for it."""
    return f"signed-{len(block.text)}"


def _pieces(text: str, count: int) -> list[str]:
    """Return the text cut into `count` pieces of nearly equal length, or fewer if it is too short."""
    if not text:
        return []
    count = max(1, min(count, len(text)))
    cuts = [len(text) * number // count for number in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(cuts)]
