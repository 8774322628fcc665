"""Puts what a client asked and what the upstream saw into one form, so that a test can say `==`.

A conversation is a list of turns, a turn is a role and its blocks. Neighbours of one role are one turn, as
the Messages API itself has it. Of tool calls only their ids' names differ on the way: each becomes the
number of its first appearance.
"""

from __future__ import annotations

import json
from typing import Any

from claude_max_proxy.testing import ScriptedUpstream, system_text


Block = tuple[Any, ...]
Turn = tuple[str, list[Block]]
# The beginning of the block that 2.1.197 adds; a client's text may begin with half of it.
_NOTE = "<system-reminder>\nAs you answer the user's questions, you can use the following context:\n# current"


def seen(upstream: ScriptedUpstream, index: int = -1) -> list[Turn]:
    """Return the conversation in one of the upstream's requests, without what the CLI has added."""
    return seen_in(upstream.requests[index].body)


def seen_in(body: dict[str, Any]) -> list[Turn]:
    """Return the conversation in a request of the Messages API, without what the CLI has added."""
    numbers: dict[str, int] = {}
    turns = []
    for message in body["messages"]:
        if message["role"] == "system":
            continue
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        own = [block for block in blocks if not str(block.get("text", "")).startswith(_NOTE)]
        turns.append((message["role"], [_upstream_block(block, numbers) for block in own]))
    return _joined(turns)


def seen_system(upstream: ScriptedUpstream, index: int = -1) -> str:
    """Return the system prompt in one of the upstream's requests, without what the CLI has added."""
    return system_text(upstream.requests[index].body)


def asked(messages: list[dict[str, Any]]) -> list[Turn]:
    """Return the conversation in a client's chat messages, without instructions."""
    numbers: dict[str, int] = {}
    turns: list[Turn] = []
    for message in messages:
        match message["role"]:
            case "user":
                turns.append(("user", _client_blocks(message["content"])))
            case "assistant":
                turns.append(("assistant", _client_blocks(message.get("content")) + _calls(message, numbers)))
            case "tool":
                number = _number(message["tool_call_id"], numbers)
                turns.append(("user", [("result", number, _client_blocks(message["content"]))]))
            case _:
                pass
    return _joined(turns)


def text_turns(*texts: str) -> list[dict[str, Any]]:
    """Return texts as chat messages: the user's, the assistant's, the user's, and so on."""
    roles = ("user", "assistant")
    return [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]


def _joined(turns: list[Turn]) -> list[Turn]:
    joined: list[Turn] = []
    for role, blocks in turns:
        if joined and joined[-1][0] == role:
            joined[-1][1].extend(blocks)
        elif blocks:
            joined.append((role, list(blocks)))
    return joined


def _number(call_id: str, numbers: dict[str, int]) -> int:
    return numbers.setdefault(call_id, len(numbers))


def _upstream_block(block: dict[str, Any], numbers: dict[str, int]) -> Block:
    match block["type"]:
        case "text":
            return ("text", block["text"])
        case "image":
            return ("image", block["source"]["media_type"], block["source"]["data"])
        case "tool_use":
            return ("call", _number(block["id"], numbers), block["name"], block["input"])
        case "tool_result":
            content = block.get("content", [])
            inner = [{"type": "text", "text": content}] if isinstance(content, str) else content
            blocks = [_upstream_block(one, numbers) for one in inner]
            return ("result", _number(block["tool_use_id"], numbers), blocks)
        case kind:
            raise AssertionError(f"a block of type {kind!r} went upstream")


def _client_blocks(content: str | list[dict[str, Any]] | None) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [("text", content)]
    return [_client_block(part) for part in content]


def _client_block(part: dict[str, Any]) -> Block:
    if part["type"] == "text":
        return ("text", part["text"])

    header, _, data = part["image_url"]["url"].partition(";base64,")
    return ("image", header.removeprefix("data:"), data)


def _calls(message: dict[str, Any], numbers: dict[str, int]) -> list[Block]:
    return [
        (
            "call",
            _number(call["id"], numbers),
            call["function"]["name"],
            json.loads(call["function"]["arguments"]),
        )
        for call in message.get("tool_calls") or []
    ]
