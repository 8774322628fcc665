"""AutoGen."""

from __future__ import annotations

from claude_max_proxy.testing import Reply, Text, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import same
from tests.clients.scenarios import HELLO, Scenarios
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen


client = Client("autogen", "AutoGen")
PROGRAM = "program.py"
SCENARIOS = Scenarios(client, PROGRAM)
SCENARIOS.add("whole", "streamed", "turns", "tools", "streamed_tools", "structured", "image", "plan_limit")


@client.check(requests=1)
async def usage(stage: Stage) -> None:
    """A streamed answer reports its usage."""
    stage.upstream.script(Reply((Text("Hello"),), input_tokens=10, cache_read=200, output_tokens=7))
    used = await stage.ask(PROGRAM, "usage", text=HELLO)
    same(used, {"input": 210, "output": 7}, "what was used")


@client.check(requests=4)
async def team(stage: Stage) -> None:
    """Two agents talk in turn until one is content, and each knows who said what."""
    stage.upstream.script(
        *(Reply((Text(text),)) for text in ("A poem.", "Longer.", "A long poem.", "APPROVE"))
    )
    said = await stage.ask(PROGRAM, "team", text="Write!")
    same([source for source, _ in said], ["user", "writer", "critic", "writer", "critic"], "who spoke")
    same(
        seen(stage.upstream),
        [
            ("user", [("text", "user said:\nWrite!"), ("text", "writer said:\nA poem.")]),
            ("assistant", [("text", "Longer.")]),
            ("user", [("text", "writer said:\nA long poem.")]),
        ],
        "what the critic knew last",
    )


@client.check(requests=3)
async def selected(stage: Stage) -> None:
    """The model chooses which agent speaks next."""
    stage.upstream.script(*(Reply((Text(text),)) for text in ("critic", "No.", "Yes.")))
    same(await stage.ask(PROGRAM, "selected", text="Write!"), ["user", "critic", "writer"], "who spoke")


@client.check(requests=2)
async def handed(stage: Stage) -> None:
    """An agent hands over to another one by a call."""
    stage.upstream.script(Reply((ToolUse("transfer_to_expert", {}),)), Reply((Text("Done. APPROVE"),)))
    same(await stage.ask(PROGRAM, "handed", text="Help!"), "Done. APPROVE", "the answer")
