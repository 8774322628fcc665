"""Reads the bodies of the Messages API into a :class:`Request`. Pure.

Blocks of instructions are joined by an empty line. Some clients send instructions in the middle of a
conversation. They become a text of the user at this place, marked as a reminder, which is how these clients
used to send them.
"""

from __future__ import annotations

import msgspec

from claude_max_proxy import Message, Request, Text, ToolResult, formats
from claude_max_proxy.dialects.anthropic_messages.blocks import OnlyText
from claude_max_proxy.dialects.anthropic_messages.content import read_content
from claude_max_proxy.dialects.anthropic_messages.parameters import apply_input, apply_parameters
from claude_max_proxy.dialects.anthropic_messages.schemas import CountRequest, MessagesRequest, WireMessage


_messages = msgspec.json.Decoder(MessagesRequest)
_count = msgspec.json.Decoder(CountRequest)
# This begins a text of Claude Code's for its own purposes; it is new in every request and not for the model.
_BILLING = "x-anthropic-billing-header:"


def read(body: bytes) -> tuple[Request, MessagesRequest]:
    """Read the body of ``POST /v1/messages``; return the request, and the decoded body for the writer.

    Raises :class:`InvalidRequest` with the path of the first field that is wrong.
    """
    unknown: list[str] = []
    asked = formats.decode(_messages, body, unknown)
    request = _request(asked, unknown)
    apply_parameters(asked, request)
    return request, asked


def read_count(body: bytes) -> Request:
    """Read the body of ``POST /v1/messages/count_tokens``."""
    unknown: list[str] = []
    return _request(formats.decode(_count, body, unknown), unknown)


def _request(asked: CountRequest, unknown: list[str]) -> Request:
    request = Request(asked.model, _system(asked.system), ignored=unknown)
    if _marks(asked):
        request.ignore("cache_control")  # the backends set their own marks
    for index, message in enumerate(asked.messages):
        _add(message, f"messages[{index}].content", request)
    apply_input(asked, request)
    return request


def _marks(asked: CountRequest) -> bool:
    """Return whether the client has marked instructions or messages for the prompt cache."""
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
    """Add a text of the user's, to the last message if that is the user's, since some models want turns."""
    if messages and messages[-1].role == "user":
        messages[-1].parts.append(text)
    else:
        messages.append(Message("user", [text]))
