"""Messages of a Request as the Messages API takes them. Pure."""

from __future__ import annotations

from claude_max_proxy import Message, Reasoning, Text, ToolResult, distinct_ids
from claude_max_proxy.messages_api import Block, plain_id, write_block


def write_messages(messages: list[Message], *, thinking: bool) -> list[Block]:
    """Write every message that says something, in its true role; results come first, as the API asks.

    With ``thinking``, thoughts that the provider signed go back to it.
    """
    written = []
    for message in distinct_ids(messages, plain_id):
        parts = sorted(message.parts, key=lambda part: not isinstance(part, ToolResult))
        taken = [
            part
            for part in parts
            if not (isinstance(part, Text) and not part.text.strip())  # which the API refuses
            and (thinking or not isinstance(part, Reasoning))
        ]
        content = [block for part in taken if (block := write_block(part, str))]
        if content:
            written.append({"role": message.role, "content": content})
    return written
