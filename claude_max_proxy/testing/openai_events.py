"""Encodes the replies of `answers` as a server of OpenAI's chat completions API sends them."""

from __future__ import annotations

import itertools
import re
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
from claude_max_proxy.testing.events import new_id


DONE = b"data: [DONE]\n\n"
REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_WORD = re.compile(r"\s*\S+|\s+")
_INPUT_PIECES = 8


def stream(reply: Reply, model: str) -> list[bytes]:
    """Return all events of a reply, from the role to [DONE]; they always include the usage."""
    head = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 0, "model": model}
    frames = [_chunk(model, {"role": "assistant", "content": ""})]
    calls = itertools.count()
    for block in reply.blocks:
        frames += _block_deltas(model, block, calls)
    reason = REASONS.get(reply.stopped_by, "stop")
    frames.append(_chunk(model, {}, reason))
    total = usage(reply, len(frames) - 2)
    frames.append(b"data: %b\n\n" % msgspec.json.encode(head | {"choices": [], "usage": total}))
    return [*frames, DONE]


def opening(deltas: int, model: str) -> list[bytes]:
    """Return the events of a reply that breaks off after this many text deltas."""
    return stream(Reply((Text(words(deltas)),)), model)[:-3]


def error_event(type_name: str, message: str) -> bytes:
    """Return the event that ends a stream which has failed in the middle."""
    return b"data: %b\n\n" % msgspec.json.encode({"error": {"type": type_name, "message": message}})


def is_delta(frame: bytes) -> bool:
    """Return whether this event is a piece of content."""
    return b'"finish_reason":null' in frame and b'"role"' not in frame


def envelope(fault: Fault, request_id: str) -> dict[str, Any]:
    """Return the JSON of an HTTP error."""
    error = {"message": fault.message, "type": fault.type, "param": None, "code": None}
    return {"error": error, "request_id": request_id}


def message(reply: Reply, model: str) -> dict[str, Any]:
    """Return the reply as a JSON document, which a request without `stream` gets."""
    text = "".join(block.text for block in reply.blocks if isinstance(block, Text))
    thoughts = "".join(block.text for block in reply.blocks if isinstance(block, Thinking))
    calls = [_call(block) for block in reply.blocks if isinstance(block, ToolUse)]
    said: dict[str, Any] = {"role": "assistant", "content": text or None}
    if thoughts:
        said["reasoning_content"] = thoughts
    if calls:
        said["tool_calls"] = calls
    reason = REASONS.get(reply.stopped_by, "stop")
    return {
        "id": "chatcmpl-scripted",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": said, "finish_reason": reason}],
        "usage": usage(reply, len(_WORD.findall(text))),
    }


def usage(reply: Reply, deltas: int) -> dict[str, Any]:
    """Return the usage of a reply; the prompt's tokens include the cached ones."""
    prompt = reply.input_tokens + reply.cache_read + reply.cache_write
    written = max(1, deltas) if reply.output_tokens is None else reply.output_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": reply.cache_read, "cache_write_tokens": reply.cache_write},
    }


def embeddings(body: dict[str, Any], size: int = 3) -> dict[str, Any]:
    """Return an answer to a request for embeddings: a vector for each input, beginning with its length."""
    given = body.get("input")
    inputs = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    rows = [
        {"object": "embedding", "index": index, "embedding": [float(len(str(one)))] + [0.5] * (size - 1)}
        for index, one in enumerate(inputs)
    ]
    tokens = {"prompt_tokens": len(rows), "total_tokens": len(rows)}
    return {"object": "list", "data": rows, "model": body.get("model"), "usage": tokens}


def _chunk(model: str, delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    head = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 0, "model": model}
    return b"data: %b\n\n" % msgspec.json.encode(head | {"choices": [choice]})


def _block_deltas(model: str, block: Block, calls: itertools.count[int]) -> list[bytes]:
    match block:
        case Text():
            return list(_text_deltas(model, block))
        case Thinking(text=text):
            return [_chunk(model, {"reasoning_content": piece}) for piece in _WORD.findall(text)]
        case RedactedThinking():
            return []  # this API has no form for it
        case ToolUse():
            return _call_deltas(model, block, next(calls))


@lru_cache(maxsize=32)
def _text_deltas(model: str, block: Text) -> tuple[bytes, ...]:
    """Return the deltas of a text, which are cached: benchmarks ask for the same long text many times."""
    pieces = _pieces(block.text, block.chunks) if block.chunks else _WORD.findall(block.text)
    return tuple(_chunk(model, {"content": piece}) for piece in pieces)


def _call_deltas(model: str, block: ToolUse, index: int) -> list[bytes]:
    whole = _call(block)
    arguments = whole["function"]["arguments"]
    head = {**whole, "index": index, "function": {"name": block.name, "arguments": ""}}
    pieces = [
        {"index": index, "function": {"arguments": piece}} for piece in _pieces(arguments, _INPUT_PIECES)
    ]
    return [_chunk(model, {"tool_calls": [fragment]}) for fragment in (head, *pieces)]


def _call(block: ToolUse) -> dict[str, Any]:
    function = {"name": block.name, "arguments": msgspec.json.encode(block.input).decode()}
    return {"id": block.id or new_id("call"), "type": "function", "function": function}


def _pieces(text: str, count: int) -> list[str]:
    count = max(1, min(count, len(text)))
    cuts = [len(text) * number // count for number in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(cuts)]
