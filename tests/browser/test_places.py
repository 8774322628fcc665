"""The page at another path than `/`, and behind a reverse proxy that takes away the beginning of the path."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.conftest import Served
from tests.browser.stripping import stripping
from tests.browser.traffic import PROXY_TOML, ask, fill, get
from tests.browser.visiting import Visitor
from tests.end_to_end.running import RunningProxy


KEYS = '\n[server.api_keys]\nme = { key = "the-key-of-mine", admin = true }\n'
ELSEWHERE = '\n[plugins.page]\npath = "/tools/ui"\n'
KEYED = {"authorization": "Bearer the-key-of-mine"}
VIEWS = ("Requests", "Usage", "Models", "Setup", "Now")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxy(start_proxy: Served) -> AsyncIterator[RunningProxy]:
    """Run a proxy that has had some traffic."""
    running = await start_proxy(PROXY_TOML)
    await fill(running)
    yield running


async def _tour(visitor: Visitor) -> None:
    """Use everything that has a link, an address or a button."""
    page = visitor.page
    await page.locator("#underway").wait_for()
    for name in VIEWS:
        await page.get_by_role("navigation", name="Views").get_by_role("link", name=name, exact=True).click()
        await page.get_by_role("heading", name=name, level=1).wait_for(state="attached")
    await page.locator("#recent tbody tr a").first.click()
    await page.get_by_role("heading", name="Where the time went").wait_for()
    await page.get_by_role("link", name="All requests").click()
    await page.get_by_label("Model").select_option("claude-opus-4")
    await visitor.until("document.querySelectorAll('#results tbody tr').length == 1")
    await page.reload()
    await page.locator("#results tbody tr a").click()
    await page.get_by_role("link", name=VIEWS[1]).click()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="JSON").click()
    assert (await download.value).suggested_filename == "requests.json"
    await page.get_by_role("link", name="By model").click()
    await page.get_by_role("link", name="claude-opus-4").click()
    await page.locator("#results tbody tr").wait_for()
    await _try(visitor)
    await page.get_by_role("link", name="Requests").click()
    await page.get_by_role("link", name="Inspector").click()
    await page.get_by_role("button", name="Keep what is said").click()
    await page.get_by_role("button", name="End and wipe").click()
    await page.get_by_role("button", name="Keep what is said").wait_for()
    assert visitor.complaints == []


async def _try(visitor: Visitor) -> None:
    """Chat with a model."""
    page = visitor.page
    await page.get_by_role("link", name="Models").click()
    await page.get_by_label("Message").fill("[[say Hello there.]]")
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.locator("#talk article.assistant").get_by_text("Hello there.").wait_for()
    assert f"{visitor.base}/v1/chat/completions" in (await page.text_content("#curl") or "")


async def test_elsewhere(browser: Browser, start_proxy: Served) -> None:
    """With `path`, the whole page is there, live and with keys, and `/` says where it is."""
    running = await start_proxy(PROXY_TOML + KEYS + ELSEWHERE)
    assert await ask(running, "hello", "claude-opus-4", headers=KEYED) == 200
    root = await get(running, "/")
    assert root.status_code == 404
    assert "/tools/ui" in root.json()["error"]["message"]
    async with Visitor.opened(browser, running.url) as visitor:
        # As if the reader had entered the key. Chromium remembers it, but not yet for paths elsewhere.
        await visitor.page.goto(running.url.replace("//", "//:the-key-of-mine@") + "/tools/ui/setup")
        await visitor.go("/tools/ui")
        assert visitor.page.url.endswith("/tools/ui/")
        await visitor.page.locator("#recent tbody tr", has_text="claude-opus-4").wait_for()
        asked = await ask(running, "again", "claude-sonnet-4", headers=KEYED)
        assert asked == 200
        await visitor.page.locator("#recent tbody tr", has_text="claude-sonnet-4").wait_for()
        await _tour(visitor)
        assert all(path.startswith(("/tools/ui", "/v1/chat/")) for path in visitor.fetched)


async def test_behind_a_reverse_proxy(browser: Browser, proxy: RunningProxy) -> None:
    """Where the beginning of the path is taken away, all links stay below it."""
    async with stripping(proxy, "/claude") as url, Visitor.opened(browser, url) as visitor:
        await visitor.go("/")
        await ask(proxy, "again", "claude-haiku-4")
        await visitor.page.locator("#recent tbody tr", has_text="claude-haiku-4").wait_for()
        await _tour(visitor)
        await visitor.go("/setup")
        assert f"{url}/v1" in await visitor.page.inner_text("h1 + p")
