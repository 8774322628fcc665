"""Refuses what the upstream would refuse, or what the CLI cannot ask, before a process is used. Pure."""

from __future__ import annotations

from claude_max_proxy import InvalidRequest, Message, Request, Text, ToolCall, ToolResult, formats
from claude_max_proxy.anthropic_messages import check_response_schema, check_tools, is_blank


def check(request: Request) -> None:
    """Raise :class:`InvalidRequest` for a request that cannot be answered."""
    if not any(message.role == "user" for message in request.messages):
        raise InvalidRequest.at(
            "messages", "there is no user message to answer; the model needs at least one"
        )
    last = request.messages[-1]
    if last.role == "assistant":
        raise InvalidRequest(
            "messages: the last message is the assistant's; the Claude Code CLI cannot continue one, "
            "so end with a user or tool message",
            param=f"messages[{len(request.messages) - 1}]",
        )
    if not _says_something(last):
        raise InvalidRequest.at("messages", "the last message is empty")
    _check_calls(request.messages)
    check_tools(request.tools)
    check_response_schema(request)


def _says_something(message: Message) -> bool:
    return any(not isinstance(part, Text) or not is_blank(part.text) for part in message.parts)


def _check_calls(messages: list[Message]) -> None:
    """Check that the next user message answers every call once, and that every result belongs to a call."""
    open_calls: dict[str, str] = {}
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        for result in results:
            if open_calls.pop(formats.tool_ids.plain(result.id), None) is None:
                raise InvalidRequest.at(
                    "messages",
                    f"the tool result {formats.shown(result.id)} answers no tool call of the "
                    "message before it",
                )
        if open_calls and message.role == "assistant":
            raise _unanswered(open_calls)
        for part in message.parts:
            if isinstance(part, ToolCall):
                if formats.tool_ids.plain(part.id) in open_calls:
                    raise formats.tool_ids.used_twice(part.id)
                open_calls[formats.tool_ids.plain(part.id)] = part.id
    if open_calls:
        raise _unanswered(open_calls)


def _unanswered(open_calls: dict[str, str]) -> InvalidRequest:
    names = formats.listed(list(open_calls.values()))
    return InvalidRequest.at("messages", f"no tool result answers the tool calls {names}")
