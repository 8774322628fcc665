"""Pydantic AI."""

from claude_max_proxy.testing import Reply, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import same
from tests.clients.scenarios import PERSON, Scenarios
from tests.clients.stage import Stage


client = Client("pydantic-ai", "Pydantic AI")
SCENARIOS = Scenarios(client, "program.py")
NAMES = ("whole", "streamed", "turns", "tools", "streamed_tools", "structured", "image", "plan_limit")
SCENARIOS.add(*NAMES)
SCENARIOS.add(*NAMES, api="responses")


@client.check(requests=1)
async def structured_by_tool(stage: Stage) -> None:
    """An answer follows a schema, by a tool that the model must call."""
    stage.upstream.script(Reply((ToolUse("final_result", PERSON),)))
    same(await stage.ask("program.py", "structured_by_tool", text="Who?"), PERSON, "the object")
