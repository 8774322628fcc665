"""No request goes to the provider that no client asked for: at the start, after an answer, or when idle."""

from __future__ import annotations

import asyncio

import httpx

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.asking import unasked, windows
from tests.end_to_end.chatting import answer
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import until


async def test_a_proxy_at_rest(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """Warming up sends the provider nothing, whatever the models, and neither does the end of an answer."""
    begun = len(upstream.arrivals)
    proxy = await start_proxy(warm_models=["sonnet", "haiku"], warm=2)
    for _ in range(200):
        if (await proxy.health())["processes"]["warm"] == 4:
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError(proxy.transcript())
    await asyncio.sleep(1)
    assert [arrival.path for arrival in upstream.arrivals[begun:] if arrival.method != "HEAD"] == []

    async with proxy.client() as client:
        tools = [{"type": "function", "function": {"name": f"tool_{number}"}} for number in range(12)]
        for _ in range(2):
            assert await answer(client, "hello", tools=tools) == "You said: hello"
    await asyncio.sleep(3)
    assert [arrival.path for arrival in upstream.arrivals[begun:] if arrival.method != "HEAD"] == [
        "/v1/messages"
    ] * 2
    assert upstream.counts == []


async def test_the_check_can_fail(start_proxy: StartProxy, upstream: ScriptedUpstream) -> None:
    """A request that belongs to no client is detected, and one that belongs to a client is not."""
    begun = len(upstream.arrivals)
    proxy = await start_proxy()
    async with proxy.client() as client:
        await answer(client, "hello")
    assert await until(lambda: windows(proxy.work), 5)
    assert unasked(upstream.arrivals[begun:], windows(proxy.work)) == []

    await asyncio.sleep(0.5)
    asked = len(upstream.arrivals)
    async with httpx.AsyncClient(base_url=upstream.url, trust_env=False) as client:
        for path in ("/v1/messages", "/v1/messages/count_tokens", "/elsewhere"):
            await client.post(path, json={})
        await client.head("/")
    found = unasked(upstream.arrivals[begun:], windows(proxy.work))
    assert found == ["POST /v1/messages", "POST /v1/messages/count_tokens", "POST /elsewhere"]
    del upstream.arrivals[asked:]  # which are not the proxy's
