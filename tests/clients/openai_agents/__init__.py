"""The OpenAI Agents SDK."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("openai-agents", "OpenAI Agents SDK", quick=True, here=True)
SCENARIOS = Scenarios(client, "program.py")
NAMES = ("whole", "streamed", "turns", "tools", "streamed_tools", "structured", "plan_limit")
SCENARIOS.add(*NAMES, api="responses")
SCENARIOS.add(*NAMES)
