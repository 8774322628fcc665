"""CrewAI."""

from __future__ import annotations

from claude_max_proxy.testing import Reply, Text, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import same, within
from tests.clients.scenarios import PERSON, Scenarios
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen
from tests.end_to_end.working import by_call


client = Client(
    "crewai",
    "CrewAI",
    environment={"CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false"},
)
PROGRAM = "program.py"
Scenarios(client, PROGRAM).add("whole", "turns", plan_limit=3)
STEPS = (
    Reply((ToolUse("weather", {"city": "Zürich"}), ToolUse("weather", {"city": "Oslo"}))),
    Reply((ToolUse("warmest", {"a": 21, "b": 9}),)),
    Reply((Text("Zürich is warmer."),)),
)
WORKED = [
    ("assistant", [("call", 0, "weather", {"city": "Zürich"}), ("call", 1, "weather", {"city": "Oslo"})]),
    ("user", [("result", 0, [("text", "21 in Zürich")]), ("result", 1, [("text", "9 in Oslo")])]),
    ("assistant", [("call", 2, "warmest", {"a": 21, "b": 9})]),
    ("user", [("result", 2, [("text", "21")])]),
]


@client.check(requests=3)
async def tools(stage: Stage) -> None:
    """An agent of a crew calls tools and completes its work."""
    stage.upstream.script(*STEPS)
    same(await stage.ask(PROGRAM, "tools", text="Where is it warmer?"), "Zürich is warmer.", "the answer")
    same(by_call(seen(stage.upstream))[1:], WORKED, "the conversation")
    same(await stage.live(3), [False, True, True], "which requests went on in place")


@client.check(requests=3)
async def streamed_tools(stage: Stage) -> None:
    """The same agent completes its work with streaming."""
    stage.upstream.script(*STEPS)
    answer = await stage.ask(PROGRAM, "tools", text="Where is it warmer?", stream=True)
    same(answer, "Zürich is warmer.", "the answer")
    same(by_call(seen(stage.upstream))[1:], WORKED, "the conversation")


@client.check(requests=2)
async def relay(stage: Stage) -> None:
    """A crew of two works one after the other, and the second one gets what the first one wrote."""
    stage.upstream.script(Reply((Text("Roses are red."),)), Reply((Text("It is good."),)))
    same(await stage.ask(PROGRAM, "relay", text="Write a poem."), "It is good.", "the answer")
    within("Roses are red.", str(seen(stage.upstream)), "what the second one was asked")


@client.check(requests=1)
async def structured(stage: Stage) -> None:
    """A task's result comes as an object."""
    stage.upstream.script(Reply((ToolUse("StructuredOutput", PERSON),)))
    same(await stage.ask(PROGRAM, "structured", text="Who?"), PERSON, "the object")
