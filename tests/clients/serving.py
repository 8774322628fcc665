"""Clients that are servers, and those that are used in a browser; all ends with the stage."""

from __future__ import annotations

import asyncio
import socket
import time

import httpx
from playwright.async_api import Page, async_playwright

from claude_max_proxy.concurrency.tasks import Tasks
from tests.browser import chromium
from tests.clients.stage import Stage


_START = 240.0
_PATIENCE = 20.0
_PAUSE = 0.2


def free_port() -> int:
    """Return a port of the loopback interface on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


async def serve(stage: Stage, url: str, *command: str, **environment: str) -> None:
    """Start a client's server, and wait until something is found at this address of it."""
    process = await stage.start(*command, **environment)
    stage.until_end.push_async_callback(stage.end, process)
    readers = Tasks()
    stage.until_end.push_async_callback(readers.close)
    for stream in (process.stdout, process.stderr):
        readers.start(_hear(stage, stream), f"what {command[0]} says")
    deadline = time.monotonic() + _START
    async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) as http:
        while not await _answers(http, url):
            ended = process.returncode is not None
            assert not ended, f"{command[0]} ended with status {process.returncode}: {stage.said[-3:]}"
            assert time.monotonic() < deadline, f"{command[0]} did not answer within {_START:.0f} s"
            await asyncio.sleep(_PAUSE)


async def browse(stage: Stage) -> Page:
    """Open a window of the browser; raise RuntimeError where the machine has none."""
    if missing := chromium.missing():
        raise RuntimeError(missing)
    playwright = await stage.until_end.enter_async_context(async_playwright())
    browser = await playwright.chromium.launch(
        executable_path=chromium.PROGRAM, args=[*chromium.FLAGS], timeout=60_000
    )
    stage.until_end.push_async_callback(browser.close)
    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(_PATIENCE * 1000)
    page.on("pageerror", lambda error: stage.said.append(f"in the page: {error}"))
    return page


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).is_success
    except httpx.HTTPError:
        return False


async def _hear(stage: Stage, stream: asyncio.StreamReader | None) -> None:
    assert stream is not None
    while line := await stream.readline():
        stage.said.append(line.decode(errors="replace").rstrip())
