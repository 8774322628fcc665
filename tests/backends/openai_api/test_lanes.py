"""Fragments of an answer that come in any mixture become parts that do not overlap."""

from __future__ import annotations

from claude_max_proxy import Finished, PartKind, Reasoning, Started, Text, ToolCall, fold
from claude_max_proxy.backends.openai_api.lanes import Lanes


def test_what_waits_for_a_call() -> None:
    """What comes while a call is open waits until it is complete; fragments of a kind stay one part."""
    lanes = Lanes()
    events = lanes.call(0, "c1", "f", '{"a":')
    before = len(events)
    kinds: list[PartKind] = ["text", "text", "reasoning", "reasoning"]
    for kind, text in zip(kinds, ("Hel", "lo", "h", "m"), strict=True):
        events += lanes.text(kind, text)
    assert len(events) == before
    events += lanes.call(0, "", "", "1}")
    reply = fold([Started("m"), *events, *lanes.finish(), Finished("tool_calls")])
    assert reply.parts == [ToolCall("c1", "f", '{"a":1}'), Text("Hello"), Reasoning("hm")]
