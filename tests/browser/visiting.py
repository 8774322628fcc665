"""A reader of the page: a window of the browser that notes what it fetches and what goes wrong in it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, Response

from tests.browser import chromium


Visit = Callable[..., Awaitable["Visitor"]]
WIDTHS = (360, 768, 1280)
_USER = re.compile(r"(?<=^http:)//[^/@]*@")
_AXE = "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations)"


class Visitor:
    """One window, and what was heard of it.

    `complaints` has every exception, every message of an error in the console (a broken content security
    policy is one), and every request to anything but the proxy.
    """

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        self.fetched: dict[str, int] = {}
        page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: self._requested(request.url))
        page.on("dialog", lambda dialog: self.complaints.append(f"a dialog: {dialog.message}"))

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, browser: Browser, base: str, *, width: int = 1280, height: int = 900, **options: Any
    ) -> AsyncIterator[Visitor]:
        """Open a window, and close it afterwards."""
        context = await browser.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(10_000)
        page = await context.new_page()
        try:
            yield cls(page, base)
        finally:
            await context.close()

    async def go(self, path: str) -> Response:
        """Go to a view."""
        response = await self.page.goto(self.base + path)
        assert response is not None
        return response

    async def violations(self) -> list[str]:
        """Return what axe finds wrong, each with the elements in question."""
        # By the debugger's own evaluation: the page's policy forbids every other foreign script.
        await self.page.evaluate(chromium.axe())
        found = await self.page.evaluate(_AXE)
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes']][:3]}"
            for one in found
        ]

    async def until(self, expression: str, within: float = 10.0) -> None:
        """Wait until an expression is true in the page.

        Playwright's own way is an `eval` in the page, which its policy forbids.
        """
        async with asyncio.timeout(within):
            while not await self.page.evaluate(expression):  # noqa: ASYNC110  # a page has no event for it
                await asyncio.sleep(0.05)

    async def open_all(self) -> None:
        """Open everything that can be opened."""
        await self.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")

    async def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def _requested(self, url: str) -> None:
        url = _USER.sub("//", url)
        if not url.startswith((self.base, "data:")):
            self.complaints.append(f"a request to {url}")
        self.fetched[urlsplit(url).path] = self.fetched.get(urlsplit(url).path, 0) + 1
