"""The view Now as it changes, and how its stream ends."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from tests.browser.conftest import Served
from tests.browser.traffic import PROXY_TOML, ask, get, start_slow
from tests.browser.visiting import Visit
from tests.end_to_end.running import RunningProxy


@pytest_asyncio.fixture(loop_scope="session")
async def proxy(start_proxy: Served) -> AsyncIterator[RunningProxy]:
    """Run a proxy that nobody has used."""
    yield await start_proxy(PROXY_TOML)


async def test_a_request_comes_and_goes(visit: Visit, proxy: RunningProxy) -> None:
    """A running request appears, its time passes, and it moves to those that have just finished."""
    visitor = await visit(proxy, "/")
    page = visitor.page
    await page.locator("#recent").get_by_text("No requests yet").wait_for()
    asking = await start_slow(proxy, "claude-opus-4")
    row = page.locator("#underway tbody tr")
    await row.wait_for()
    assert "claude-opus-4" in await row.inner_text()
    first = await row.locator("time").inner_text()
    await visitor.until(f"document.querySelector('#underway time')?.textContent != '{first}'")
    assert await asking == 200
    await page.locator("#recent tbody tr").wait_for()
    await visitor.until("!document.querySelector('#underway tbody')")
    assert await page.inner_text("#today dd >> nth=0") == "1\n0 failed"
    assert visitor.fetched["/"] == 1, "the page itself was loaded again"
    assert visitor.complaints == []


async def test_a_reload_is_told(visit: Visit, proxy: RunningProxy) -> None:
    """What a reload changes arrives by itself, and the stream goes on with the new configuration."""
    visitor = await visit(proxy, "/")
    file = proxy.work / "proxy.toml"
    file.write_text(file.read_text("utf-8") + '\n[plugins.page]\ntitle = "Renamed"\n', "utf-8")
    await visitor.page.locator("#reload .inner").wait_for(timeout=20_000)
    await ask(proxy, "hello")
    await visitor.page.locator("#recent tbody tr").wait_for()
    file.write_text("this is no TOML", "utf-8")
    await visitor.page.locator("#problems li", has_text="configuration").wait_for(timeout=20_000)


async def test_only_what_changes_is_sent(proxy: RunningProxy) -> None:
    """The first event has every part; while nothing happens, nothing is sent."""
    assert (await get(proxy, "/requests")).status_code == 200  # the ledger's database is open now
    heard = b""
    async with proxy.client() as client, client.stream("GET", "/now/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4):
                async for piece in stream.aiter_bytes():
                    heard += piece
    events = [one for one in heard.split(b"\n\n") if one]
    assert b'id="windows"' in events[0]
    assert b'id="processes"' in events[0]
    assert len(events) == 1


async def test_the_stream_does_not_delay_the_end(proxy: RunningProxy) -> None:
    """A proxy that is told to stop does so at once, although somebody looks at the page."""
    client = proxy.client()
    async with client, client.stream("GET", "/now/events") as stream:
        pieces = stream.aiter_bytes()
        await anext(pieces)
        began = time.monotonic()
        stopping = asyncio.get_running_loop().create_task(proxy.stop())
        try:
            async with asyncio.timeout(10):
                async for _ in pieces:
                    pass
        except httpx.HTTPError:
            pass
    assert await stopping == 0
    assert time.monotonic() - began < 5


async def test_the_number_of_readers_is_bounded(proxy: RunningProxy) -> None:
    """Nobody can hold any number of streams open; those that end make room again."""
    async with proxy.client() as client:
        streams = [client.stream("GET", "/now/events") for _ in range(25)]
        answers = await asyncio.gather(*(one.__aenter__() for one in streams))
        assert sorted(one.status_code for one in answers) == [200] * 20 + [429] * 5
        for one in streams:
            await one.__aexit__(None, None, None)

        async def status() -> int:
            async with client.stream("GET", "/now/events") as one:
                return one.status_code

        for _ in range(50):
            if await status() == 200:
                break
            await asyncio.sleep(0.1)
        assert await status() == 200
