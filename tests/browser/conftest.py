"""Fixtures: one browser for all tests, and the real program in front of a scripted server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from claude_max_proxy.testing.openai_upstream import ScriptedOpenAI
from tests.browser import chromium
from tests.browser.visiting import Visit, Visitor
from tests.end_to_end.running import RunningProxy


Served = Callable[..., Awaitable[RunningProxy]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all of them in one event loop, in which the browser lives, and only where there is one."""
    here = Path(__file__).parent
    reason = chromium.missing()
    for item in items:
        if item.path.is_relative_to(here) and "start_proxy" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Run the browser."""
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(
            executable_path=chromium.PROGRAM, args=[*chromium.FLAGS], timeout=60_000
        )
        yield running
        await running.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_upstream() -> AsyncIterator[ScriptedOpenAI]:
    """Serve an OpenAI-compatible API that does what a test says."""
    async with ScriptedOpenAI(strict=False) as upstream:
        yield upstream


@pytest.fixture
def upstream(shared_upstream: ScriptedOpenAI) -> ScriptedOpenAI:
    """Return the scripted API, with empty records and scripts."""
    shared_upstream.clear()
    return shared_upstream


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def start_proxy(
    shared_upstream: ScriptedOpenAI, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """Return a function that runs the program with a configuration; `UPSTREAM` in it is the scripted API.

    It may be given the source of a plugin `asking`.
    """
    async with AsyncExitStack() as stack:

        async def start(config: str, *, asking: str = "", **environment: str) -> RunningProxy:
            running = RunningProxy(tmp_path_factory.mktemp("home"), environment)
            (running.work / "plugins").mkdir(parents=True, mode=0o700)
            if asking:
                (running.work / "plugins" / "asking.py").write_text(asking, "utf-8")
            stack.push_async_callback(running.end)
            await running.start(config.replace("UPSTREAM", shared_upstream.base_url))
            return running

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    """Return a function that opens a window at a URL; each is a reader of its own."""
    async with AsyncExitStack() as stack:

        async def opened(proxy: RunningProxy, path: str = "/", **options: Any) -> Visitor:
            visitor = await stack.enter_async_context(Visitor.opened(browser, proxy.url, **options))
            await visitor.go(path)
            return visitor

        yield opened
