"""Messages of a Request as the Messages API takes them. Pure."""

from __future__ import annotations

from claude_max_proxy import InvalidRequest, Message, Reasoning, distinct_ids
from claude_max_proxy.messages_api import Block, ToolNames, plain_id, write_content


def write_messages(messages: list[Message], names: ToolNames, *, thinking: bool) -> list[Block]:
    """Write every message that says something, in its true role; the API joins neighbours of one role.

    With ``thinking``, thoughts that the provider signed go back to it. Raises :class:`InvalidRequest` where
    nothing is left to ask, and where an answer is begun in a way that the API does not go on from.
    """
    written = []
    for message in distinct_ids(messages, plain_id):
        parts = [part for part in message.parts if thinking or not isinstance(part, Reasoning)]
        if content := write_content(parts, str, names.upstream):
            written.append({"role": message.role, "content": content})
    _check_end(written)
    return written


def _check_end(written: list[Block]) -> None:
    if not written:
        raise InvalidRequest("messages: there is nothing to answer; say something", param="messages")

    last = written[-1]["content"][-1]
    if written[-1]["role"] == "assistant" and last.get("text", "x")[-1:].isspace():
        raise InvalidRequest(
            "messages: the last message is the assistant's and ends in white space, from which the API does "
            "not go on; leave that out",
            param="messages",
        )
