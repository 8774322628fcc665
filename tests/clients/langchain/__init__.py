"""LangChain, with its client for OpenAI."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("langchain", "LangChain", quick=True, here=True)
SCENARIOS = Scenarios(client, "program.py")
NAMES = (
    "whole",
    "streamed",
    "usage",
    "turns",
    "tools",
    "streamed_tools",
    "structured",
    "image",
    "plan_limit",
)
SCENARIOS.add(*NAMES)
SCENARIOS.add(*NAMES, api="responses")
