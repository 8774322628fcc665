"""OpenAI's client for Node."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("openai-node", "openai for Node", quick=True)
Scenarios(client, "program.mjs").add(
    *("whole", "streamed", "usage", "turns", "tools", "streamed_tools", "structured", "image", "plan_limit", "models")
)
