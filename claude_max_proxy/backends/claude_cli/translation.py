"""Messages of a Request as the CLI takes them, so that they reach the model byte for byte. Pure.

The CLI looks for slash commands and file mentions in the last text block of a user message only, and drops
empty text blocks. So every user message is an array that ends with an empty text block: whatever the client
wrote is never the last one.
"""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from claude_max_proxy import Message
from claude_max_proxy.backends.claude_cli.fingerprint import normal_id
from claude_max_proxy.backends.claude_cli.protocol import line
from claude_max_proxy.messages_api import Block, ToolNames, write_content


GUARD: Block = {"type": "text", "text": ""}
# What the CLI leaves out of what it sends.
_NO_CONTENT = "(no content)"


def beginning() -> bytes:
    """Write what a transcript begins with, so that all that follows can be taken back; it goes nowhere.

    Older CLIs take nothing back that no message of the assistant's is before.
    """
    return _assistant_line([{"type": "text", "text": _NO_CONTENT}], "")


def history_lines(message: Message, names: ToolNames, model: str = "", name: str = "") -> bytes | None:
    """Write one message of the history; a user's, whose line gets the ``name``, without asking the model.

    ``names`` maps the names of the client's tools to the upstream's. A message of white space alone says
    nothing, and the upstream refuses it: ``None``; it takes the messages around it as one. The CLI drops the
    thoughts of any model but the process's own, so ``model`` is its full name.
    """
    content = blocks(message, names)
    if not content:
        return None
    if message.role == "user":
        return user_line(message, names, ask=False, name=name)

    return _assistant_line(content, model if any("thinking" in block["type"] for block in content) else "")


def user_line(message: Message, names: ToolNames, *, ask: bool, name: str = "") -> bytes:
    """Write a user's message; ``ask`` makes the model answer it, and by its ``name`` it can be taken back."""
    content = [*blocks(message, names), GUARD]
    fields: dict[str, Any] = {} if ask else {"shouldQuery": False}
    if name:
        fields["uuid"] = name
    return line("user", message={"role": "user", "content": content}, **fields)


def blocks(message: Message, names: ToolNames) -> list[Block]:
    """Write a message's parts as content blocks; what the API takes nothing of is left out."""
    return write_content(message.parts, normal_id, names.upstream)


def _assistant_line(content: list[Block], model: str) -> bytes:
    body: dict[str, Any] = {
        "id": "msg_" + secrets.token_hex(12),  # without unique ids, neighbours merge
        "type": "message",
        "role": "assistant",
        "content": content,
    }
    if model:
        body["model"] = model
    return line("assistant", uuid=str(uuid.uuid4()), message=body)
