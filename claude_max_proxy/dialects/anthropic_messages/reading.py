"""Reads the bodies of the Messages API into a :class:`Request`. Pure: bytes in, values out.

Blocks of instructions are joined by an empty line. Instructions in the middle of a conversation, which some
clients send, are said by the user there, marked as a reminder, as those clients wrote it before.
"""

from __future__ import annotations

import msgspec

from claude_max_proxy import Message, Request, Text, ToolResult, wire
from claude_max_proxy.dialects.anthropic_messages.blocks import OnlyText
from claude_max_proxy.dialects.anthropic_messages.content import read_content
from claude_max_proxy.dialects.anthropic_messages.parameters import apply_input, apply_parameters
from claude_max_proxy.dialects.anthropic_messages.schemas import CountRequest, MessagesRequest, WireMessage


_messages = msgspec.json.Decoder(MessagesRequest)
_count = msgspec.json.Decoder(CountRequest)
# Claude Code's bookkeeping, new for every request, which is not meant for the model.
_BILLING = "x-anthropic-billing-header:"


def read(body: bytes) -> tuple[Request, MessagesRequest]:
    """Read the body of ``POST /v1/messages``; give the wire's own form too, for the writer.

    Raises :class:`InvalidRequest` with the path of the first field that is wrong.
    """
    unknown: list[str] = []
    asked = wire.decode(_messages, body, unknown)
    request = _request(asked, unknown)
    apply_parameters(asked, request)
    return request, asked


def read_count(body: bytes) -> Request:
    """Read the body of ``POST /v1/messages/count_tokens``."""
    unknown: list[str] = []
    return _request(wire.decode(_count, body, unknown), unknown)


def _request(asked: CountRequest, unknown: list[str]) -> Request:
    request = Request(asked.model, _system(asked.system), ignored=unknown)
    if _marks(asked):
        request.ignore("cache_control")  # the backends set marks of their own
    for index, message in enumerate(asked.messages):
        _add(message, f"messages[{index}].content", request)
    apply_input(asked, request)
    return request


def _marks(asked: CountRequest) -> bool:
    """Tell whether the client marks instructions or messages for the cache."""
    lists = [asked.system, *(message.content for message in asked.messages)]
    blocks = (block for blocks in lists if isinstance(blocks, list) for block in blocks)
    return asked.cache_control is not None or any(
        getattr(block, "cache_control", None) is not None for block in blocks
    )


def _system(system: str | list[OnlyText] | None) -> str:
    if system is None or isinstance(system, str):
        return system or ""

    return "\n\n".join(block.text for block in system if not block.text.startswith(_BILLING))


def _add(message: WireMessage, path: str, request: Request) -> None:
    parts = read_content(message.content, message.role, path, request)
    if message.role == "assistant":
        request.messages.append(Message("assistant", parts))
    elif message.role == "user":
        parts.sort(key=lambda part: not isinstance(part, ToolResult))
        request.messages.append(Message("user", parts))
    else:
        text = "\n\n".join(part.text for part in parts if isinstance(part, Text))
        _remind(Text(f"<system-reminder>\n{text}\n</system-reminder>"), request.messages)


def _remind(text: Text, messages: list[Message]) -> None:
    """Let the user say it, with what the user says just before if there is such: some models want turns."""
    if messages and messages[-1].role == "user":
        messages[-1].parts.append(text)
    else:
        messages.append(Message("user", [text]))
