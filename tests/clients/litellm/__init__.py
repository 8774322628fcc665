"""LiteLLM as a library, which asks the proxy as it would ask OpenAI."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("litellm", "LiteLLM")
Scenarios(client, "program.py").add(
    *("whole", "streamed", "usage", "turns", "tools", "streamed_tools", "structured", "image", "plan_limit")
)
