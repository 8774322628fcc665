"""LangChain, with its client for OpenAI."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("langchain", "LangChain", quick=True, here=True)
Scenarios(client, "program.py").add(
    *("whole", "streamed", "usage", "turns", "tools", "streamed_tools", "structured", "image", "plan_limit")
)
