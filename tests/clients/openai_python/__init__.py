"""OpenAI's Python client."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("openai-python", "openai for Python", quick=True, here=True)
SCENARIOS = Scenarios(client, "program.py")
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
SCENARIOS.add(
    *("whole", "streamed", "usage", "turns", "tools", "structured", "image", "plan_limit"), api="responses"
)
