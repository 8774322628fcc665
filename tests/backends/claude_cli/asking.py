"""How the tests ask a backend with the fake CLI, and what they learn from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from claude_max_proxy import (
    Event,
    Message,
    Reply,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    fold,
)
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli


LOOK = Tool("look", "Looks.", {"type": "object"})
TAKE = Tool("take", "Takes.", {"type": "object"})


def user(*texts: str) -> Message:
    """Return a user's message."""
    return Message("user", [Text(text) for text in texts])


def heard(reply: Reply) -> Message:
    """Return the message that a client sends back for an answer."""
    return Message("assistant", [*reply.parts])


def results(reply: Reply, *texts: str) -> Message:
    """Return the message that answers the calls of a reply."""
    calls = [part for part in reply.parts if isinstance(part, ToolCall)]
    return Message(
        "user",
        [ToolResult(call.id, (Text(text),)) for call, text in zip(calls, texts, strict=True)],
    )


def asking(*messages: str | Message, **fields: Any) -> Request:
    """Return a request; a string becomes a user's message."""
    given = [user(one) if isinstance(one, str) else one for one in messages]
    return Request("sonnet", messages=given, **fields)


async def events_of(backend: ClaudeCli, request: Request, model: str = "sonnet") -> list[Event]:
    """Ask, and return all events."""
    async with aclosing(backend.answer(request, model)) as events:
        return [event async for event in events]


async def ask(backend: ClaudeCli, *messages: str | Message, model: str = "sonnet", **fields: Any) -> Reply:
    """Ask, and return the whole answer."""
    return fold(await events_of(backend, asking(*messages, **fields), model))


async def tell(
    backend: ClaudeCli, *history: str | Message, model: str = "sonnet", **fields: Any
) -> dict[str, Any]:
    """Ask the process that answers, after a history, for all that it knows; return that."""
    reply = await ask(backend, *history, "[[tell]]", model=model, **fields)
    known: dict[str, Any] = json.loads(reply.text)
    return known


def said(known: dict[str, Any]) -> list[tuple[str, Sequence[str]]]:
    """Return what a process holds, as roles and texts, without the line that every transcript begins with."""
    lines = [
        (line["role"], [block.get("text", "") for block in line["content"]]) for line in known["transcript"]
    ]
    return [line for line in lines if line != ("assistant", ["(no content)"])]
