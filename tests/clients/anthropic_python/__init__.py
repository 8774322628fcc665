"""Anthropic's Python client."""

from tests.clients.client import Client
from tests.clients.expecting import holds
from tests.clients.scenarios import Scenarios
from tests.clients.stage import Stage


client = Client("anthropic-python", "anthropic for Python")
Scenarios(client, "program.py").add(
    *("whole", "streamed", "usage", "turns", "tools", "streamed_tools", "structured", "image", "plan_limit"),
    api="messages",
)


@client.check("messages", requests=0)
async def count_tokens(stage: Stage) -> None:
    """It gets a count of tokens, which is an estimate."""
    count = await stage.ask("program.py", "count", text="Hello, how are you today?")
    holds(1 < count < 100, f"{count} tokens were counted")
