"""What the scripted API saw: a request as it came, and the part of it that a client wrote.

The CLI adds notes of its own to what it was asked to send. The functions here take them away, so
that a test can compare what arrived with what was sent.
"""

from __future__ import annotations

from typing import Any

import msgspec


REMINDER = "<system-reminder>"
BILLING = "x-anthropic-billing-header:"
IDENTITY = "You are a Claude agent, built on Anthropic's Claude Agent SDK."


class RecordedRequest(msgspec.Struct, eq=False):
    """One request, and what became of it.

    `path` is without the query, `headers` have lower-case names, `body` is the JSON object sent
    (empty if there was none), `size` is the length of the body in bytes and `received_at` the
    time, in seconds of `time.monotonic`, at which all of it was there. `answered` becomes true
    when the answer was sent to its end (a drop or a hang has none), `disconnected` when the client
    left before that. `refusal` is what a strict API found wrong with it, empty when nothing was, and
    `replied` says that the answer was a reply of the model's, and was sent to its end.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: dict[str, Any]
    size: int
    received_at: float
    answered: bool = False
    disconnected: bool = False
    refusal: str = ""
    replied: bool = False


def blocks_of(content: object) -> list[dict[str, Any]]:
    """The blocks of a message's content or of a tool result; a string counts as one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        return []
    return [dict(block) for block in content]


def is_note(block: dict[str, Any]) -> bool:
    """Whether the CLI added this block: a text that begins with `<system-reminder>`."""
    return block.get("type") == "text" and str(block.get("text", "")).startswith(REMINDER)


def conversation(body: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """The role and the blocks of each message that came from the client.

    Messages of role `system` and reminders, which the CLI adds, are left out, and so are
    `cache_control` marks. Content given as a string becomes one text block, in tool results too.
    """
    turns = []
    for message in body.get("messages", []):
        if message["role"] == "system":
            continue
        blocks = _own_blocks(message["content"])
        if blocks:
            turns.append((str(message["role"]), blocks))
    return turns


def system_text(body: dict[str, Any]) -> str:
    """The client's system prompt: all blocks but the CLI's own first ones, joined."""
    texts = [str(block.get("text", "")) for block in blocks_of(body.get("system"))]
    while texts and (texts[0].startswith(BILLING) or texts[0] == IDENTITY):
        del texts[0]
    return "".join(texts)


def _own_blocks(content: object) -> list[dict[str, Any]]:
    blocks = [block for block in blocks_of(content) if not is_note(block)]
    for block in blocks:
        block.pop("cache_control", None)
        if block.get("type") == "tool_result":
            block["content"] = _own_blocks(block.get("content"))
    return blocks
