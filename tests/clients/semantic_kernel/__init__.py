"""Semantic Kernel."""

from __future__ import annotations

from claude_max_proxy.testing import Reply, Text, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import same
from tests.clients.scenarios import Scenarios
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen
from tests.end_to_end.working import by_call


client = Client("semantic-kernel", "Semantic Kernel")
PROGRAM = "program.py"
SCENARIOS = Scenarios(client, PROGRAM)
SCENARIOS.add("whole", "streamed", "turns", "structured", "image", "plan_limit")
CALLS = (
    (ToolUse("Sky-weather", {"city": "Zürich"}), ToolUse("Sky-weather", {"city": "Oslo"})),
    (ToolUse("Sky-warmest", {"a": 21, "b": 9}),),
)
ASKED = [
    ("user", [("text", "/where is it warmer?")]),
    (
        "assistant",
        [("call", 0, "Sky-weather", {"city": "Zürich"}), ("call", 1, "Sky-weather", {"city": "Oslo"})],
    ),
    ("user", [("result", 0, [("text", "21 in Zürich")]), ("result", 1, [("text", "9 in Oslo")])]),
    ("assistant", [("call", 2, "Sky-warmest", {"a": 21, "b": 9})]),
    ("user", [("result", 2, [("text", "21")])]),
]


async def work(stage: Stage, name: str) -> None:
    """Let an agent call functions by itself."""
    stage.upstream.script(*(Reply(calls) for calls in CALLS), Reply((Text("Zürich is warmer."),)))
    same(await stage.ask(PROGRAM, name, text="/where is it warmer?"), "Zürich is warmer.", "the answer")
    same(by_call(seen(stage.upstream)), ASKED, "the conversation")
    same(await stage.live(3), [False, True, True], "which requests went on in place")


@client.check(requests=3)
async def tools(stage: Stage) -> None:
    """An agent calls the functions of a plugin by itself and completes its work in place."""
    await work(stage, "tools")


@client.check(requests=3)
async def streamed_tools(stage: Stage) -> None:
    """The same agent completes its work with streaming."""
    await work(stage, "streamed_tools")
