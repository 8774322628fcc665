"""LibreChat's agents: the package with which LibreChat asks models."""

from claude_max_proxy.testing import Reply, Text, Thinking, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import holds, same
from tests.clients.scenarios import Scenarios
from tests.clients.stage import Stage


client = Client("librechat-agents", "LibreChat's agents")
PROGRAM = "program.mjs"
SCENARIOS = Scenarios(client, PROGRAM)
NAMES = ("whole", "streamed", "usage", "turns", "streamed_tools", "image", "plan_limit")
SCENARIOS.add(*NAMES)
SCENARIOS.add(*NAMES, api="responses")
SCENARIOS.add(*NAMES, api="messages")


def function(stage: Stage, name: str) -> str:
    """Return the name of the program's function for the API of the check."""
    return name if stage.api == "chat" else f"{stage.api}_{name}"


@client.check("chat", "responses", "messages", requests=2)
async def title(stage: Stage) -> None:
    """It asks for a conversation's title, as LibreChat does after the first answer."""
    stage.upstream.script(Reply((Text("It is warm."),)), Reply((Text("Weather in Oslo"),)))
    titled = await stage.ask(PROGRAM, function(stage, "title"), text="How is it?", method="COMPLETION")
    same(titled, "Weather in Oslo", "the title")


@client.check("chat", "responses", requests=2)
async def structured_title(stage: Stage) -> None:
    """With `titleMethod: structured`, the title is an answer that follows a schema."""
    wanted = {"title": "Weather in Oslo"}
    stage.upstream.script(Reply((Text("It is warm."),)), Reply((ToolUse("StructuredOutput", wanted),)))
    titled = await stage.ask(PROGRAM, function(stage, "title"), text="How is it?", method="STRUCTURED")
    same(titled, wanted["title"], "the title")


@client.check("chat", "responses", "messages", requests=1)
async def stop(stage: Stage) -> None:
    """When its user stops an answer, the request to the provider ends too."""
    heard = await stage.ask(PROGRAM, function(stage, "stop"), text="[[pace 0.05 400]]")
    holds(heard > 0, "nothing was heard before the stop")
    await stage.upstream.idle(within=10)
    holds(stage.upstream.requests[-1].disconnected, "the provider's answer went on to its end")


@client.check("messages", requests=2)
async def thoughts(stage: Stage) -> None:
    """What the model thought before it called a tool goes back to it, with its signature."""
    stage.upstream.script(
        Reply((Thinking("Which city?"), ToolUse("weather", {"city": "Oslo"}))), Reply((Text("It is warm."),))
    )
    answer = await stage.ask(PROGRAM, "thinking_streamed_tools", text="How is it?")
    same(answer, "It is warm.", "the answer")
    blocks = [
        block
        for message in stage.upstream.requests[-1].body["messages"]
        for block in message["content"]
        if isinstance(block, dict) and block["type"] == "thinking"
    ]
    same([block["thinking"] for block in blocks], ["Which city?"], "the thoughts")
    holds(blocks[0]["signature"], "the thought has no signature")
