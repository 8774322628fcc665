"""What the scripted API has received: a whole request, and the part of it that a client wrote.

The CLI adds its own notes to what it is asked to send. The functions here remove them, so that a test can
compare what has arrived with what the client sent.
"""

from __future__ import annotations

from typing import Any

import msgspec


REMINDER = "<system-reminder>"
BILLING = "x-anthropic-billing-header:"
IDENTITY = "You are a Claude agent, built on Anthropic's Claude Agent SDK."


class RecordedRequest(msgspec.Struct, eq=False):
    """One request, and what happened to it.

    - `path`: without the query.
    - `headers`: with names in lower case.
    - `body`: the JSON object that was sent, empty if there was none.
    - `size`: the length of the body in bytes.
    - `received_at`: when all of it had arrived, in seconds of `time.monotonic`.
    - `answered`: the answer was sent completely; a drop or a hang has no end.
    - `disconnected`: the client left before that.
    - `refusal`: what a strict API found wrong with the request, empty if nothing.
    - `replied`: the answer was a reply of the model, and was sent completely.
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
    """Return the blocks of a message's content or of a tool result; a string becomes one text block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        return []
    return [dict(block) for block in content]


def is_note(block: dict[str, Any]) -> bool:
    """Return whether the CLI added this block: a text that begins with `<system-reminder>`."""
    return block.get("type") == "text" and str(block.get("text", "")).startswith(REMINDER)


def conversation(body: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the role and the blocks of each message that came from the client.

    Reminders and messages with the role `system`, which the CLI adds, are left out, and so are the marks
    `cache_control`. Content that is a string becomes one text block, also in tool results.
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
    """Return the client's system prompt: all blocks except the CLI's own, which come first, joined."""
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
