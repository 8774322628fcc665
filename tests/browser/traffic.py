"""Requests that fill the page: good ones, failed ones, and hostile names."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.end_to_end.running import RunningProxy


PROXY_TOML = """
[backends.claude]
type = "openai"
base_url = "UPSTREAM"
api_key = "sk-very-secret"
retries = 0

[models]
claude-sonnet-4 = "claude/claude-sonnet-4-5"
claude-opus-4 = "claude/claude-opus-4-5"

[plugins]
paths = []
"""
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "\"'><script>alert(2)</script>",
    "\u202egnihtyreve sesrever\u202c",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt;&amp;" + "very-long-name-" * 12,
)
SENTINEL = "the word that nobody may see"


async def ask(proxy: RunningProxy, text: str, model: str = "claude-sonnet-4", **fields: Any) -> int:
    """Ask a question, whole or streamed; return the status."""
    headers = fields.pop("headers", {"user-agent": "OpenAI/Python 3.54.0"})
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    async with proxy.client(headers=headers) as client:
        return (await client.post("/v1/chat/completions", json=body)).status_code


async def fill(proxy: RunningProxy) -> None:
    """Send some requests of every kind, which all end."""
    await asyncio.gather(
        ask(proxy, f"[[say hello]] {SENTINEL}"),
        ask(proxy, "[[deltas 30]]", "claude-opus-4", stream=True),
        ask(proxy, "[[pace 0.01 20]]", stream=True, headers={"user-agent": "openclaw/2026.9.6"}),
        ask(proxy, f"[[status 400 {SENTINEL}]]"),
        ask(proxy, "[[status 500 broken]]", headers={"user-agent": "openclaw/2026.9.6"}),
        ask(proxy, "nobody has it", "unknown-model"),
    )
    for name in HOSTILE:
        await ask(proxy, "hostile", name)


async def start_slow(proxy: RunningProxy, model: str = "claude-sonnet-4") -> asyncio.Task[int]:
    """Start a request whose answer takes three seconds, and go on when it is under way."""
    asking = ask(proxy, "[[pace 0.05 60]]", model, stream=True)
    task = asyncio.get_running_loop().create_task(asking)
    async with proxy.client() as client:
        for _ in range(100):
            page = (await client.get("/")).text
            if "answering" in page:
                return task
            await asyncio.sleep(0.05)
    raise AssertionError("it did not begin")


async def get(proxy: RunningProxy, path: str, **headers: str) -> httpx.Response:
    """Fetch something of the page without a browser."""
    async with proxy.client() as client:
        return await client.get(path, headers=headers)
