"""OpenAI's Python client."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("openai-python", "openai for Python", quick=True, here=True)
Scenarios(client, "program.py").add(
    *("whole", "streamed", "usage", "turns", "tools", "streamed_tools", "structured", "image", "plan_limit", "models")
)
