"""Directives: what a user message can ask of the scripted API, such as `[[tool NAME {json}]]`.

With them, a test, the demo or a person decides on the answer from the client's side of the proxy. A message
may contain several: if one of them asks for an error, that is the answer; otherwise, all of them make up one
reply.

    [[say TEXT]] [[think TEXT]] [[tool NAME {json}]] [[deltas N]]     blocks, in this order
    [[sleep S]] [[pace S N]] [[max_tokens]] [[refuse]]                how the reply is sent, or ends
    [[status N message]] [[limit]] [[drop N]] [[hang N]]              no reply, or a part of one

A reply without blocks is an echo of the message, or of its tool results.
"""

from __future__ import annotations

import json
import re
from typing import Any

from claude_max_proxy.testing.answers import (
    Answer,
    Block,
    Drop,
    Hang,
    Reply,
    Text,
    Thinking,
    ToolUse,
    fault,
    words,
)
from claude_max_proxy.testing.limits import plan_limit
from claude_max_proxy.testing.seen import blocks_of, conversation


ECHO_LENGTH = 200

_OPEN = re.compile(
    r"\[\[(say|think|tool|deltas|sleep|pace|max_tokens|refuse|status|limit|drop|hang)(?=[\s\]])"
)
_TOOL = re.compile(r"\s+([^\s\]]+)\s*")
_CLOSE = re.compile(r"\s*\]\]")
_Directive = tuple[str, str, Any]
"""A directive's name, the text after it, and the input of a tool."""


def answer_for(body: dict[str, Any]) -> Answer:
    """Return the answer that the newest user message of a request asks for.

    Reminders and `system` messages, which the CLI adds, do not count. Directives in a tool result only count
    if the message has no text of the user's, and cannot call tools. A directive that makes no sense gets a
    400 that says so.
    """
    text, results = newest_user(body)
    try:
        found = _parse(text or "\n".join(results), tools=bool(text))
        return _interrupted(found) or _reply(found, _echo(text, results))
    except ValueError as error:
        return fault(400, f"bad directive: {error}")


def newest_user(body: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the text of the newest user message, and the text of each tool result in it.

    Text blocks are joined by newlines.
    """
    for role, blocks in reversed(conversation(body)):
        if role == "user":
            results = [block for block in blocks if block.get("type") == "tool_result"]
            return _text_of(blocks), [_text_of(blocks_of(one.get("content"))) for one in results]
    return "", []


def _text_of(blocks: list[dict[str, Any]]) -> str:
    return "\n".join(str(block["text"]) for block in blocks if block.get("type") == "text")


def _echo(text: str, results: list[str]) -> Text:
    if results:
        return Text("Results: " + " | ".join(results))
    return Text("You said: " + text[:ECHO_LENGTH])


def _parse(text: str, *, tools: bool) -> list[_Directive]:
    """Return the directives in a text, in order; if `tools` is false, without those that call a tool.

    Raises ValueError if the input of a tool is not JSON.
    """
    found: list[_Directive] = []
    position = 0
    while match := _OPEN.search(text, position):
        name, position = match[1], match.end()
        if name == "tool":
            tool, position = _parse_tool(text, position)
            found += [tool] if tools else []
            continue
        end = text.find("]]", position)
        if end < 0:
            break
        found.append((name, text[position:end].strip(), None))
        position = end + 2
    return found


def _parse_tool(text: str, position: int) -> tuple[_Directive, int]:
    # The input may contain brackets, so its JSON tells where it ends.
    name = _TOOL.match(text, position)
    if not name:
        raise ValueError("a tool needs a name")
    arguments: dict[str, Any] = {}
    end = name.end()
    if text.startswith("{", end):
        arguments, end = json.JSONDecoder().raw_decode(text, end)
    close = _CLOSE.match(text, end)
    if not close:
        raise ValueError(f"no ]] after the input of tool {name[1]}")
    return ("tool", name[1], arguments), close.end()


def _interrupted(found: list[_Directive]) -> Answer | None:
    """Return the answer for the first directive that does not allow a whole reply, or None."""
    for name, argument, _ in found:
        count = int(argument) if name in ("drop", "hang") and argument else None
        match name:
            case "status":
                return _status(argument)
            case "limit":
                return plan_limit()
            case "drop":
                return Drop(count)
            case "hang":
                return Hang(count)
    return None


def _status(argument: str) -> Answer:
    number, _, text = argument.partition(" ")
    if not 400 <= int(number) <= 599:
        raise ValueError(f"{number} is not the status of an error")
    return fault(int(number), text.strip())


def _reply(found: list[_Directive], echo: Text) -> Reply:
    blocks: list[Block] = []
    changes: dict[str, Any] = {}
    for name, argument, arguments in found:
        match name:
            case "tool":
                blocks.append(ToolUse(argument, arguments))
            case "sleep":
                changes["delay"] = float(argument)
            case "pace":
                seconds, count = argument.split()
                changes["pace"] = float(seconds)
                blocks.append(Text(words(int(count))))
            case "max_tokens":
                changes["stop_reason"] = "max_tokens"
            case "refuse":
                changes["stop_reason"] = "refusal"
            case _:
                blocks.append(_spoken(name, argument))
    needs_echo = all(isinstance(block, Thinking) for block in blocks)
    if needs_echo and changes.get("stop_reason") != "refusal":
        blocks.append(echo)
    return Reply(tuple(blocks), **changes)


def _spoken(name: str, argument: str) -> Block:
    match name:
        case "think":
            return Thinking(argument)
        case "deltas":
            return Text(words(int(argument)))
        case _:
            return Text(argument)
