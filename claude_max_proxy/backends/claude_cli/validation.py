"""What the upstream would refuse, or the CLI cannot ask, said before anything is started. Pure."""

from __future__ import annotations

from claude_max_proxy import (
    InvalidRequest,
    Message,
    Request,
    Text,
    ToolCall,
    ToolResult,
)
from claude_max_proxy.backends.claude_cli.fingerprint import normal_id
from claude_max_proxy.messages_api import check_response_schema, check_tools, is_blank


def check(request: Request) -> None:
    """Raise :class:`InvalidRequest` for a conversation that cannot be asked."""
    if not any(message.role == "user" for message in request.messages):
        raise InvalidRequest(
            "messages: there is no user message to answer; the model needs at least one",
            param="messages",
        )
    last = request.messages[-1]
    if last.role == "assistant":
        raise InvalidRequest(
            "messages: the last message is the assistant's; the Claude Code CLI cannot continue one, "
            "so end with a user or tool message",
            param=f"messages[{len(request.messages) - 1}]",
        )
    if not _says_something(last):
        raise InvalidRequest("messages: the last message is empty", param="messages")
    _check_calls(request.messages)
    check_tools(request.tools)
    check_response_schema(request)


def _says_something(message: Message) -> bool:
    return any(not isinstance(part, Text) or not is_blank(part.text) for part in message.parts)


def _check_calls(messages: list[Message]) -> None:
    """Every call must be answered by the next user message, once, and every result must have a call."""
    open_calls: dict[str, str] = {}
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            if open_calls.pop(normal_id(result.id), None) is None:
                raise InvalidRequest(
                    f"messages: the tool result {result.id!r} answers no tool call of the message before it",
                    param="messages",
                )
        if open_calls and message.role == "assistant":
            raise _unanswered(open_calls)
        for part in message.parts:
            if isinstance(part, ToolCall):
                if normal_id(part.id) in open_calls:
                    raise InvalidRequest(
                        f"messages: two tool calls of one message have the id {part.id!r}; each needs one",
                        param="messages",
                    )
                open_calls[normal_id(part.id)] = part.id
    if open_calls:
        raise _unanswered(open_calls)


def _unanswered(open_calls: dict[str, str]) -> InvalidRequest:
    names = ", ".join(repr(call) for call in open_calls.values())
    return InvalidRequest(f"messages: no tool result answers the tool calls {names}", param="messages")
