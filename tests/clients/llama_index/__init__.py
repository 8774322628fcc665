"""LlamaIndex, with its client for servers that are like OpenAI."""

from claude_max_proxy.testing import Reply, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import same
from tests.clients.scenarios import PERSON, Scenarios
from tests.clients.stage import Stage


client = Client("llama-index", "LlamaIndex")
Scenarios(client, "program.py").add(
    *("whole", "streamed", "turns", "tools", "streamed_tools", "image", "plan_limit")
)


@client.check(requests=1)
async def structured_by_tool(stage: Stage) -> None:
    """An answer follows a schema, by a tool that the model must call."""
    stage.upstream.script(Reply((ToolUse("Person", PERSON),)))
    same(await stage.ask("program.py", "structured", text="Who?"), PERSON, "the object")
