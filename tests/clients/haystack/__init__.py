"""Haystack."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("haystack", "Haystack", environment={"HAYSTACK_TELEMETRY_ENABLED": "False"})
SCENARIOS = Scenarios(client, "program.py")
NAMES = ("whole", "streamed", "turns", "tools", "streamed_tools", "structured", "image", "plan_limit")
SCENARIOS.add(*NAMES)
SCENARIOS.add(*NAMES, api="responses")
