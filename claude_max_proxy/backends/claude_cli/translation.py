"""Writes the messages of a request for the CLI so that they reach the model byte for byte. Pure.

The CLI looks for slash commands and file mentions only in the last text block of a user message, and it drops
empty text blocks. So every user message is a list of blocks that ends with an empty text block: what the
client wrote is never in the last one.
"""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from claude_max_proxy import Message, formats
from claude_max_proxy.anthropic_messages import Block, ToolNames, write_content
from claude_max_proxy.backends.claude_cli.protocol import line


GUARD: Block = {"type": "text", "text": ""}
# The CLI never sends an assistant's message with this text.
_NO_CONTENT = "(no content)"


def beginning() -> bytes:
    """Return the first line of every transcript: a message that the CLI does not send to the model.

    Without it, older CLIs could not take everything back: they need an assistant's message to go back to.
    """
    return _assistant_line([{"type": "text", "text": _NO_CONTENT}], "")


def history_lines(message: Message, names: ToolNames, model: str = "", name: str = "") -> bytes | None:
    """Return the line that appends one message of the history without asking the model.

    A user message's line gets the ``name``. ``names`` maps the names of the client's tools to the upstream's.
    Returns ``None`` for a message of white space alone: it says nothing, the upstream would refuse it, and
    the upstream treats the messages around it as one. ``model`` is the full name of the process's model: the
    CLI drops the thoughts of any other model.
    """
    content = blocks(message, names)
    if not content:
        return None
    if message.role == "user":
        return user_line(message, names, ask=False, name=name)

    return _assistant_line(content, model if any("thinking" in block["type"] for block in content) else "")


def user_line(message: Message, names: ToolNames, *, ask: bool, name: str = "") -> bytes:
    """Return the line of a user message; ``ask`` makes the model answer it.

    By its ``name`` the line can be taken back later.
    """
    content = [*blocks(message, names), GUARD]
    fields: dict[str, Any] = {} if ask else {"shouldQuery": False}
    if name:
        fields["uuid"] = name
    return line("user", message={"role": "user", "content": content}, **fields)


def blocks(message: Message, names: ToolNames) -> list[Block]:
    """Return a message's parts as content blocks, without those that the API has no form for."""
    return write_content(message.parts, formats.tool_ids.plain, names.upstream)


def _assistant_line(content: list[Block], model: str) -> bytes:
    body: dict[str, Any] = {
        "id": "msg_" + secrets.token_hex(12),  # without unique ids, the CLI would merge neighbouring messages
        "type": "message",
        "role": "assistant",
        "content": content,
    }
    if model:
        body["model"] = model
    return line("assistant", uuid=str(uuid.uuid4()), message=body)
