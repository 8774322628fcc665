"""The OpenAI Agents SDK."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("openai-agents", "OpenAI Agents SDK", quick=True, here=True)
Scenarios(client, "program.py").add(
    *("whole", "streamed", "turns", "tools", "streamed_tools", "structured", "plan_limit")
)
