"""Answers of all kinds, as the events of a backend: every dialect must be able to write them."""

from __future__ import annotations

from claude_max_proxy import (
    Event,
    Finished,
    FinishReason,
    PartStarted,
    Started,
    Usage,
    complete_part,
)


def answer(*parts: tuple[PartStarted, str], reason: FinishReason = "stop", usage: bool = True) -> list[Event]:
    """Yield the events of an answer; the text of a part comes in the pieces that bars separate."""
    events: list[Event] = [Started("claude-x")]
    for start, text in parts:
        pieces = [piece for piece in text.split("|") if piece]
        signature = "c2lnbmVk" if start.kind == "reasoning" else ""
        events += complete_part(start, *pieces, signature=signature)
    if usage:
        events.append(Usage(1, 2, 3, 4, 5))
    return [*events, Finished(reason)]


def said(index: int, text: str) -> tuple[PartStarted, str]:
    """Return a part of text."""
    return PartStarted(index, "text"), text


def thought(index: int, text: str) -> tuple[PartStarted, str]:
    """Return a part of reasoning with a signature."""
    return PartStarted(index, "reasoning"), text


def called(index: int, id_: str, name: str, arguments: str) -> tuple[PartStarted, str]:
    """Return a call of a tool."""
    return PartStarted(index, "tool_call", id_, name), arguments


ANSWERS: dict[str, list[Event]] = {
    "text": answer(said(0, "Hel||lo\n€|\\ud83e")),
    "empty": answer(),
    "empty text": answer(said(0, "")),
    "no usage": answer(said(0, "yes"), usage=False),
    "thought": answer(thought(0, "hm|, so"), said(1, "yes")),
    "thought that nobody sees": answer(thought(0, ""), said(1, "yes")),
    "call": answer(called(0, "call1", "read", '{"pa|th":"a"}'), reason="tool_calls"),
    "call of nothing": answer(called(0, "call1", "now", ""), reason="tool_calls"),
    "free text": answer(
        called(0, "call1", "patch", '{"inp|ut": "a\\n\\u00|fc\\ud83e|\\udd80"|}'), reason="tool_calls"
    ),
    "calls of all kinds": answer(
        thought(0, "hm"),
        said(1, "Let me see."),
        called(2, "call1", "read", '{"path":"a"}'),
        called(3, "call2", "patch", '{"input":""}'),
        called(4, "call3", "box__read", "{}"),
        reason="tool_calls",
    ),
    "too long": answer(said(0, "and then"), reason="length"),
    "refused": answer(said(0, "No."), reason="content_filter"),
}
"""Each as the events from ``Started`` to ``Finished``."""
