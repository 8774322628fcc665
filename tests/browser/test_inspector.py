"""The inspector in a browser: its switch, its banner, and what was said, as text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
import pytest_asyncio

from tests.browser.conftest import Served
from tests.browser.traffic import PROXY_TOML, ask, get
from tests.browser.visiting import WIDTHS, Visit, Visitor
from tests.end_to_end.running import RunningProxy


EVIL = "<img src=x onerror=alert(1)> \u202eegnarts"
ASKING = """
import claude_max_proxy as proxy

@proxy.hookimpl
def rewrite_request(request: proxy.Request) -> None:
    request.system += " Say please."
"""
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxy(start_proxy: Served) -> AsyncIterator[RunningProxy]:
    """Run a proxy whose plugin changes what is said."""
    running = await start_proxy(PROXY_TOML.replace("paths = []", 'paths = ["plugins"]'), asking=ASKING)
    yield running


async def _opened(visit: Visit, proxy: RunningProxy, path: str = "/inspector", **options: Any) -> Visitor:
    """Open a view with the inspector switched off."""
    visitor = await visit(proxy, "/inspector", **options)
    ending = visitor.page.get_by_role("button", name="End and wipe")
    if await ending.count():
        await ending.click()
    await visitor.page.get_by_role("button", name="Keep what is said").wait_for()
    if path != "/inspector":
        await visitor.go(path)
    return visitor


async def _switch_on(visitor: Visitor) -> None:
    await visitor.page.get_by_role("button", name="Keep what is said").click()
    await visitor.page.get_by_role("heading", name="Held requests").wait_for()


async def _talk(proxy: RunningProxy) -> None:
    """Say something hostile, with everything that a request may have."""
    messages = [
        {"role": "system", "content": f"Instructions {EVIL}"},
        {"role": "user", "content": "first"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": EVIL},
        {"role": "user", "content": f"[[say {EVIL}]] {'long ' * 3000}"},
    ]
    assert await ask(proxy, "", messages=messages, tools=[TOOL]) == 200


async def test_what_was_said_is_text(visit: Visit, proxy: RunningProxy) -> None:
    """Everything that was said can be read, with what a plugin changed, and none of it does anything."""
    visitor = await _opened(visit, proxy)
    await _switch_on(visitor)
    assert "Nothing was said since it is on" in await visitor.page.inner_text("main")
    await _talk(proxy)
    await visitor.page.get_by_role("link", name="Look again").click()
    await visitor.page.locator("main tbody a").click()
    await visitor.page.get_by_role("heading", name="Answer").wait_for()
    await visitor.open_all()
    text = await visitor.page.inner_text("main")
    for expected in (
        "Say please.",
        "changed",
        "As it came",
        "user · result of c1",
        "ended with stop",
        "Tools",
    ):
        assert expected in text
    assert text.count("<img src=x onerror=alert(1)>") == 5  # twice in the instructions, before and after
    assert "\u202e" not in text
    assert await visitor.page.locator("img[src=x], main script").count() == 0
    await visitor.page.get_by_role("link", name="Its numbers").click()
    await visitor.page.get_by_role("heading", name="Where the time went").wait_for()
    await visitor.page.get_by_role("main").get_by_role("link", name="What was said").click()
    await visitor.page.get_by_role("heading", name="Answer").wait_for()
    assert visitor.complaints == []


async def test_the_banner(visit: Visit, proxy: RunningProxy) -> None:
    """While it is on, every view says so, also one that is open already; its button ends it and wipes all."""
    watching = await _opened(visit, proxy, "/")
    assert await watching.page.locator(".banner").count() == 0
    visitor = await _opened(visit, proxy)
    await visitor.page.get_by_label("For").select_option("15")
    await visitor.page.get_by_label("Only the model").fill("claude-*")
    await _switch_on(visitor)
    await watching.page.locator(".banner").wait_for()
    assert "to the model claude-*" in await watching.page.inner_text(".banner")
    await _talk(proxy)
    for path in ("/requests", "/usage", "/try", "/setup", "/inspector"):
        await visitor.go(path)
        assert "The inspector is on." in await visitor.page.inner_text(".banner")
    link = (await get(proxy, "/inspector")).text.partition('href="./inspector/')[2].partition('"')[0]
    await watching.page.get_by_role("button", name="End and wipe").click()
    await watching.page.locator(".banner").wait_for(state="detached")
    assert (await get(proxy, f"/inspector/{link}")).status_code == 404
    assert "the inspector is off" in "\n".join(proxy.log)
    assert watching.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_it_fits_and_is_accessible(
    visit: Visit, proxy: RunningProxy, width: int, scheme: Literal["light", "dark"]
) -> None:
    """Every one of its views fits into the window, and axe finds nothing wrong."""
    visitor = await _opened(visit, proxy, width=width, color_scheme=scheme)
    await _fits(visitor)
    await _switch_on(visitor)
    await _talk(proxy)
    await visitor.go("/inspector")
    await _fits(visitor)
    await visitor.page.locator("main tbody a").click()
    await visitor.page.get_by_role("heading", name="Answer").wait_for()
    await _fits(visitor)
    await visitor.go("/requests")
    await _fits(visitor)
    assert visitor.complaints == []


async def _fits(visitor: Visitor) -> None:
    await visitor.page.locator("#theme:not([hidden])").wait_for()
    await visitor.open_all()
    assert await visitor.overflow() <= 0
    assert await visitor.violations() == []


async def test_a_refusal_is_told(visit: Visit, proxy: RunningProxy) -> None:
    """If it cannot be switched on, the page says so."""
    visitor = await _opened(visit, proxy)
    await visitor.page.evaluate("document.querySelector('meta[name=page-token]').content = 'old'")
    await visitor.page.get_by_role("button", name="Keep what is said").click()
    await visitor.page.get_by_text("the proxy answered 403").wait_for()
