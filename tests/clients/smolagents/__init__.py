"""smolagents: agents that call tools, and agents that write code."""

from __future__ import annotations

from claude_max_proxy.testing import Reply, Text, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import holds, same, within
from tests.clients.scenarios import Scenarios
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen


client = Client("smolagents", "smolagents")
PROGRAM = "program.py"
Scenarios(client, PROGRAM).add("whole", "streamed", "turns", "plan_limit")
CODE = "a = weather(city='Zürich')\nfinal_answer(warmest(a=int(a[:2]), b=9))"
CITIES = (ToolUse("weather", {"city": "Zürich"}), ToolUse("weather", {"city": "Oslo"}))
STEPS = (
    Reply((Text("Let me see."), *CITIES)),
    Reply((ToolUse("warmest", {"a": 21, "b": 9}),)),
    Reply((ToolUse("final_answer", {"answer": "Zürich is warmer."}),)),
)


@client.check(requests=3)
async def tools(stage: Stage) -> None:
    """A `ToolCallingAgent` completes its work."""
    stage.upstream.script(*STEPS)
    same(await stage.ask(PROGRAM, "tools", text="Where is it warmer?"), "Zürich is warmer.", "the answer")
    last = str(seen(stage.upstream))
    for part in ("'name': 'weather'", "21 in Zürich", "9 in Oslo", "'name': 'warmest'"):
        within(part, last, "the conversation")


@client.check(requests=3)
async def streamed_tools(stage: Stage) -> None:
    """The same agent completes its work with streaming."""
    stage.upstream.script(*STEPS)
    answer = await stage.ask(PROGRAM, "tools", text="Where is it warmer?", streamed=True)
    same(answer, "Zürich is warmer.", "the answer")


@client.check(requests=1)
async def code(stage: Stage) -> None:
    """A `CodeAgent` runs the code that the model writes, up to its stop sequence."""
    stage.upstream.script(Reply((Text(f"I look.\n<code>\n{CODE}\n</code>\nand more"),)))
    same(await stage.ask(PROGRAM, "code", text="How warm is it?"), "21", "the answer")


@client.check(requests=1)
async def structured_code(stage: Stage) -> None:
    """A `CodeAgent` gets its code by a schema."""
    stage.upstream.script(Reply((ToolUse("StructuredOutput", {"thought": "I look.", "code": CODE}),)))
    same(await stage.ask(PROGRAM, "code", text="How warm is it?", structured=True), "21", "the answer")


@client.check(requests=4)
async def managed(stage: Stage) -> None:
    """An agent asks another agent, whose conversation is its own."""
    stage.upstream.script(
        Reply((ToolUse("meteorologist", {"task": "How is Oslo?"}),)),
        Reply((ToolUse("weather", {"city": "Oslo"}),)),
        Reply((ToolUse("final_answer", {"answer": "9 in Oslo"}),)),
        Reply((ToolUse("final_answer", {"answer": "It is 9."}),)),
    )
    same(await stage.ask(PROGRAM, "managed", text="How is Oslo?"), "It is 9.", "the answer")


@client.check(requests=1)
async def image(stage: Stage) -> None:
    """An image that an agent is given reaches the model."""
    stage.upstream.script(Reply((ToolUse("final_answer", {"answer": "A pixel."}),)))
    same(await stage.ask(PROGRAM, "image", text="What is this?"), "A pixel.", "the answer")
    holds("image" in str(seen(stage.upstream)), "there is no image")
