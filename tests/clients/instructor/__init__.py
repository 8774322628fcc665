"""Instructor: objects out of answers, in each of its ways."""

from __future__ import annotations

import json

from claude_max_proxy.testing import Reply, Text, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import holds, same, within
from tests.clients.scenarios import PERSON, Scenarios
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen


client = Client("instructor", "Instructor")
PROGRAM = "program.py"
CHILD = {"name": "Ada", "age": 3}
CALL = Reply((ToolUse("Person", PERSON),))
ANSWER = Reply((ToolUse("StructuredOutput", PERSON),))
WRITTEN = Reply((Text(f"Here it is:\n```json\n{json.dumps(PERSON)}\n```"),))
MODES = {
    "tool_call": CALL,
    "json_mode": ANSWER,
    "json_schema_mode": ANSWER,
    "markdown_json_mode": WRITTEN,
    "responses_tools": CALL,
}
Scenarios(client, PROGRAM).add("structured")


@client.check(requests=len(MODES))
async def every_mode(stage: Stage) -> None:
    """An answer comes as an object by a tool, by JSON, by a schema, by JSON in Markdown, and by Responses."""
    for mode, reply in MODES.items():
        stage.upstream.script(reply)
        same(await stage.ask(PROGRAM, "by_mode", text="Who?", mode=mode), PERSON, f"the object by {mode}")


@client.check(requests=2)
async def again(stage: Stage) -> None:
    """An object that breaks a validator goes back to the model with the reason, and the next one counts."""
    stage.upstream.script(Reply((ToolUse("Adult", CHILD),)), Reply((ToolUse("Adult", PERSON),)))
    same(await stage.ask(PROGRAM, "again", text="Who?", mode="tool_call"), PERSON, "the object")
    _question, call, result = seen(stage.upstream)
    same(call, ("assistant", [("call", 0, "Adult", CHILD)]), "what the model said")
    within("“age” must be at least 18", str(result), "what it was told")


@client.check(requests=1)
async def partial(stage: Stage) -> None:
    """An object grows while the call that holds it is streamed."""
    stage.upstream.script(Reply((ToolUse("PartialPerson", PERSON),)))
    grown = await stage.ask(PROGRAM, "partial", text="Who?")
    same(grown[-1], PERSON, "the object")
    holds(len(grown) > 1, f"it came at once: {grown}")


@client.check("chat", "messages", requests=1)
async def several(stage: Stage) -> None:
    """A list of objects is taken from one streamed answer, one after the other."""
    people = [PERSON, {"name": "Bob", "age": 40}]
    stage.upstream.script(Reply((ToolUse("IterablePerson", {"tasks": people}),)))
    same(await stage.ask(PROGRAM, "several", text="Who?", api=stage.api), people, "the objects")


@client.check(requests=1)
async def parallel(stage: Stage) -> None:
    """Parallel calls come as objects of several kinds."""
    stage.upstream.script(Reply((ToolUse("Person", PERSON), ToolUse("Weather", {"city": "Zürich"}))))
    same(await stage.ask(PROGRAM, "parallel", text="Who?"), [PERSON, {"city": "Zürich"}], "the objects")


@client.check("chat", "messages", requests=1)
async def image(stage: Stage) -> None:
    """An image reaches the model."""
    stage.upstream.script(ANSWER if stage.api == "chat" else CALL)
    same(await stage.ask(PROGRAM, "image", text="Who is this?", api=stage.api), PERSON, "the object")
    kinds = [block[0] for block in seen(stage.upstream)[0][1]]
    same(kinds[-2:], ["text", "image"], "what was asked")


@client.check("chat", "messages", requests=1)
async def plan_limit(stage: Stage) -> None:
    """A used-up plan is a 429 with the provider's own words."""
    status = await stage.ask(PROGRAM, "plan_limit", text="Hello [[limit]]", api=stage.api)
    same(status, 429, "the status")


@client.check("messages", requests=2)
async def by_tools_and_json(stage: Stage) -> None:
    """An answer comes as an object by a tool and by JSON in the text."""
    for mode, reply in {"anthropic_tools": CALL, "anthropic_json": WRITTEN}.items():
        stage.upstream.script(reply)
        found = await stage.ask(PROGRAM, "by_mode", text="Who?", mode=mode, api="messages")
        same(found, PERSON, f"the object by {mode}")
