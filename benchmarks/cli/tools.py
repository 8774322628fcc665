"""Measurements of this proxy only, since the other has no tools: the tool loop, and parked conversations."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cli.chat import Answer, Message, ask
from benchmarks.cli.samples import Samples, check, line
from benchmarks.cli.sides import Side
from benchmarks.machine import tree_share
from benchmarks.table import Say
from claude_max_proxy.testing import words


PARKED = 4
_LOOK = {"name": "look", "description": "Looks.", "parameters": {"type": "object", "properties": {}}}
_TOOLS = [{"type": "function", "function": _LOOK}]
# These are as large as OpenClaw's: 14 tools with 16 kB in all, and 48 kB of instructions.
_INSTRUCTIONS = words(8_200)
_MANY = [
    {
        "type": "function",
        "function": {
            "name": f"tool_{number}",
            "description": words(130),
            "parameters": {
                "type": "object",
                "properties": {f"p{at}": {"type": "string", "description": words(15)} for at in range(5)},
                "required": ["p0"],
            },
        },
    }
    for number in range(14)
]


def measure_tool_loop(side: Side, samples: Samples, rounds: int, say: Say) -> None:
    """Measure, by turns in one conversation, the time for tool results and that for the next question."""
    messages: list[Message] = []
    for number in range(1, rounds + 1):
        answer = _call(side, messages)
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "seen"} for call in answer.calls]
        samples.step.append(_next(side, messages, results, "Results: seen"))
        samples.plain.append(_next(side, messages, [{"role": "user", "content": "hi"}], "You said: hi"))
        say(line(number, rounds, side, "tool loop", samples.step, samples.plain))


def measure_large(side: Side, samples: Samples, rounds: int, say: Say) -> None:
    """Measure new conversations of OpenClaw's size, each with different instructions."""
    for number in range(1, rounds + 1):
        side.rest()
        system = {"role": "system", "content": f"{number} {_INSTRUCTIONS}"}
        answer = ask(side.client, [system, {"role": "user", "content": "hi"}], tools=_MANY)
        check(answer, "You said: hi", exact=True)
        samples.large.append(answer.first)
        say(line(number, rounds, side, "OpenClaw's size", samples.large))


def measure_parked(start: Callable[[], Side], samples: Samples, say: Say) -> None:
    """Measure the memory of each conversation, with a separate proxy for each kind of conversation."""
    with start() as side:
        samples.open_call.append(_each(side, lambda: _call(side, [])))
    with start() as side:
        samples.live.append(_each(side, lambda: ask(side.client, [{"role": "user", "content": "hi"}])))
    say(f"  {PARKED} conversations parked, with an open call and idle")


def _each(side: Side, begin: Callable[[], Answer]) -> float:
    before = tree_share(side.pid)
    for _ in range(PARKED):
        begin()
        side.rest()
    return (tree_share(side.pid) - before) / PARKED


def _call(side: Side, messages: list[Message]) -> Answer:
    """Make the model call a tool, and return the answer; the call stays open."""
    messages.append({"role": "user", "content": "[[tool look {}]]"})
    answer = ask(side.client, messages, tools=_TOOLS)
    if len(answer.calls) != 1:
        raise RuntimeError(f"expected a call, got {answer}")
    messages.append(answer.message)
    side.rest()
    return answer


def _next(side: Side, messages: list[Message], news: list[Message], expected: str) -> float:
    """Go on with the conversation; return the seconds to the first text."""
    messages += news
    answer = ask(side.client, messages, tools=_TOOLS)
    check(answer, expected, exact=True)
    messages.append(answer.message)
    side.rest()
    return answer.first
