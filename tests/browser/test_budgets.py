"""Budgets in the view Now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest
import pytest_asyncio

from tests.browser.conftest import Served
from tests.browser.traffic import PROXY_TOML, ask, start_slow
from tests.browser.visiting import WIDTHS, Visit
from tests.end_to_end.running import RunningProxy


BUDGETS = """
[plugins.budgets.models."claude-opus-*"]
tokens_per_day = 20_000
dollars_per_month = 20.0

[plugins.budgets.models."<img src=x onerror=alert(1)>-a-name-that-is-very-much-longer-than-its-place"]
tokens_per_hour = 1_000

[plugins.budgets.backends."\\u202eclaude"]
tokens_per_minute = 5

[plugins.budgets.backends.claude]
tokens_per_day = 1_000_000
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxy(start_proxy: Served) -> AsyncIterator[RunningProxy]:
    """Run a proxy with budgets of which something is used."""
    running = await start_proxy(PROXY_TOML + BUDGETS)
    await ask(running, "[[say hello]]", "claude-opus-4")
    await ask(
        running, "hostile", "<img src=x onerror=alert(1)>-a-name-that-is-very-much-longer-than-its-place"
    )
    yield running


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
async def test_they_are_shown(
    visit: Visit, proxy: RunningProxy, width: int, scheme: Literal["light", "dark"]
) -> None:
    """Every limit is there with its numbers; all of it fits, is accessible, and names are only text."""
    visitor = await visit(proxy, "/", width=width, color_scheme=scheme)
    cards = visitor.page.locator("#budgets article")
    assert await cards.count() == 5
    first = await cards.first.inner_text()
    assert "claude-opus-*" in first
    assert "of 20 k tokens a day" in first
    assert "begins again in" in first
    hostile = await cards.nth(2).inner_text()
    assert hostile.startswith("<img src=x onerror=alert(1)>")
    assert "\u202e" not in await visitor.page.inner_text("#budgets")
    assert await visitor.page.locator("img[src=x]").count() == 0
    assert await visitor.overflow() <= 0
    assert await visitor.violations() == []
    assert visitor.complaints == []


async def test_what_runs_is_reserved(visit: Visit, proxy: RunningProxy) -> None:
    """While a request runs, what it may cost is shown as reserved, and afterwards no longer."""
    visitor = await visit(proxy, "/")
    card = visitor.page.locator("#budgets article").first
    assert "reserved" not in await card.inner_text()
    asking = await start_slow(proxy, "claude-opus-4")
    await card.get_by_text("reserved").wait_for()
    await card.locator("rect.held").wait_for(state="attached")
    assert await asking == 200
    await card.get_by_text("reserved").wait_for(state="detached")
    assert "0 used" not in await card.inner_text()


async def test_without_budgets_there_is_no_such_part(visit: Visit, start_proxy: Served) -> None:
    """Where nothing is limited, nothing is said about it; the first budget appears after a reload."""
    running = await start_proxy(PROXY_TOML)
    visitor = await visit(running, "/")
    assert await visitor.page.get_by_text("Budgets").count() == 0
    file = running.work / "proxy.toml"
    text = await asyncio.to_thread(file.read_text, "utf-8")
    await asyncio.to_thread(file.write_text, text + BUDGETS, "utf-8")
    await visitor.page.get_by_role("heading", name="Budgets").wait_for(timeout=20_000)
