"""Vercel's AI SDK, with its provider for servers that are compatible with OpenAI."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("vercel-ai-sdk", "Vercel AI SDK")
SCENARIOS = Scenarios(client, "program.mjs")
NAMES = ("whole", "streamed", "usage", "turns", "tools", "streamed_tools", "structured", "image")
# It tries three times by itself, `maxRetries`, and looks at no header that says not to.
SCENARIOS.add(*NAMES, plan_limit=3)
SCENARIOS.add(*NAMES, plan_limit=3, api="responses")
