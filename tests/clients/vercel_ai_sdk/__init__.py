"""Vercel's AI SDK, with its provider for servers that are compatible with OpenAI."""

from tests.clients.client import Client
from tests.clients.scenarios import Scenarios


client = Client("vercel-ai-sdk", "Vercel AI SDK")
Scenarios(client, "program.mjs").add(
    *("whole", "streamed", "usage", "turns", "tools", "streamed_tools", "structured", "image"),
    plan_limit=3,  # it tries three times by itself, `maxRetries`, and looks at no header that says not to
)
