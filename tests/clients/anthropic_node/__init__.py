"""Anthropic's client for Node."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("anthropic-node", "anthropic for Node")
Scenarios(client, "program.mjs").add(
    *("whole", "streamed", "usage", "turns", "tools", "streamed_tools", "structured", "image", "plan_limit"),
    api="messages",
)
