"""Writes the messages of a Request for the Messages API. Pure."""

from __future__ import annotations

from claude_max_proxy import InvalidRequest, Message, Reasoning, formats
from claude_max_proxy.anthropic_messages import Block, ToolNames, write_content


def write_messages(messages: list[Message], names: ToolNames, *, thinking: bool) -> list[Block]:
    """Return every message that says something, in its true role; the API joins neighbours of the same role.

    With ``thinking``, the thoughts that the provider has signed are sent back to it. Raises
    :class:`InvalidRequest` if no message is left, or if the last one is the beginning of an answer that ends
    in white space, from which the API refuses to go on.
    """
    written = []
    for message in formats.tool_ids.distinct(messages, formats.tool_ids.for_anthropic):
        parts = [part for part in message.parts if thinking or not isinstance(part, Reasoning)]
        if content := write_content(parts, str, names.upstream):
            written.append({"role": message.role, "content": content})
    _check_end(written)
    return written


def _check_end(written: list[Block]) -> None:
    if not written:
        raise InvalidRequest.at("messages", "there is nothing to answer; say something")

    last = written[-1]["content"][-1]
    if written[-1]["role"] == "assistant" and last.get("text", "x")[-1:].isspace():
        raise InvalidRequest.at(
            "messages",
            "the last message is the assistant's and ends in white space, from which the API does "
            "not go on; leave that out",
        )
