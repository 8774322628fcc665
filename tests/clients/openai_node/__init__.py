"""OpenAI's client for Node."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("openai-node", "openai for Node", quick=True)
SCENARIOS = Scenarios(client, "program.mjs")
SCENARIOS.add(
    *(
        "whole",
        "streamed",
        "usage",
        "turns",
        "tools",
        "streamed_tools",
        "structured",
        "image",
        "plan_limit",
        "models",
    )
)
SCENARIOS.add(*("whole", "streamed", "usage", "turns", "tools", "structured", "plan_limit"), api="responses")
