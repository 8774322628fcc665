"""The pictures of the page in the README and in `docs/page.md`, as PNG files in `docs/pictures/`.

    make pictures

The real proxy runs with the real CLI and a scripted provider, and a real browser takes the pictures. What was
used in the weeks before is made up: the ledger gets it before the proxy starts. How far the plan is used is
what the scripted provider tells the CLI.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Browser, Page, async_playwright

from claude_max_proxy import Client, Record, Usage
from claude_max_proxy.ledger import Ledger
from claude_max_proxy.testing import Reply, ScriptedUpstream, limit_headers
from claude_max_proxy.testing.directives import answer_for
from tests.browser import chromium
from tests.browser.traffic import ask
from tests.end_to_end.running import RunningProxy, proxy_toml
from tests.installed_cli import NEWEST, command


FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
_SIZE = {"width": 1180, "height": 860}
_PROGRAMS = ("openclaw/2026.9.6", "codex_exec/0.169.0", "OpenAI/Python 3.54.0", "aider/0.86.2")
_MODELS = {
    "claude-sonnet-4": "claude-sonnet-4-5",
    "claude-opus-4": "claude-opus-4-5",
    "claude-haiku-4": "claude-haiku-4-5",
}
_DAY, _DAYS, _A_DAY = 86_400, 24, 60


async def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory(prefix="claude-max-pictures-") as folder:
        home = Path(folder)
        await _live_through(home / "ledger.sqlite")
        async with ScriptedUpstream() as upstream, async_playwright() as playwright:
            upstream.answer_with(_answer)
            proxy = RunningProxy(home / "home", _subscriber(upstream))
            (proxy.work / "plugins").mkdir(parents=True, mode=0o700)
            await proxy.start(proxy_toml(command(NEWEST), {}, {}) + _ledger(home / "ledger.sqlite"))
            browser = await playwright.chromium.launch(
                executable_path=chromium.PROGRAM, args=[*chromium.FLAGS]
            )
            try:
                await _take(browser, proxy)
            finally:
                await browser.close()
                await proxy.stop()


def _subscriber(upstream: ScriptedUpstream) -> dict[str, str]:
    """Return the environment of a CLI that is logged in with a plan, which the scripted provider believes."""
    own = {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-dummy"}
    return {name: text for name, text in upstream.environment().items() if "KEY" not in name} | own


def _answer(body: dict[str, Any]) -> Reply:
    """Return what the directives ask for, with the plan's windows in the headers."""
    week = limit_headers("allowed", 0.41, 3.2 * _DAY, "seven_day")
    reply = answer_for(body)
    assert isinstance(reply, Reply)
    headers = {**week, **limit_headers("allowed", 0.58, 6900, "five_hour")}
    return msgspec.structs.replace(reply, headers=headers, cache_read=9000, cache_write=700)


def _ledger(file: Path) -> str:
    return f'\n[plugins]\npaths = []\n\n[plugins.ledger]\nurl = "sqlite:///{file}"\n'


async def _live_through(file: Path) -> None:
    """Put some weeks of requests into a ledger."""
    chance = random.Random(7)
    ledger = Ledger(f"sqlite:///{file}", folder=file.parent)
    now = time.time()
    for day in range(_DAYS):
        for _ in range(int(_A_DAY * chance.uniform(0.4, 1.6))):
            ledger.add(_record(chance, now - day * _DAY - chance.uniform(0, _DAY * 0.4)))
    await ledger.flush()
    await ledger.close()


def _record(chance: random.Random, began: float) -> Record:
    model = chance.choices(list(_MODELS), weights=[6, 3, 2])[0]
    failed = chance.random() < 0.03
    first, total = chance.uniform(0.4, 1.4), chance.uniform(2, 14)
    prompt = int(chance.lognormvariate(9.6, 0.8))
    usage = Usage(prompt // 12, int(chance.lognormvariate(6, 0.7)), int(prompt * 0.8), prompt // 9)
    return Record(
        model,
        backend="claude",
        upstream_model=_MODELS[model],
        dialect="openai-chat",
        path="/v1/chat/completions",
        client=Client(key=chance.choice(["me", "cron"]), program=chance.choice(_PROGRAMS)),
        status=429 if failed else 200,
        code="rate_limit_exceeded" if failed else "",
        ending="refused" if failed else "completed",
        usage=None if failed else usage,
        first_token=None if failed else first,
        last_token=None if failed else total - 0.05,
        total=0.2 if failed else total,
        live=chance.random() < 0.7,
        stream=True,
        pieces=200,
        id=f"req_{chance.getrandbits(64):016x}",
        began=began,
    )


async def _take(browser: Browser, proxy: RunningProxy) -> None:
    """Take the view Now while requests run, and the view Usage in the other theme."""
    await ask(proxy, "[[say Good morning.]] Good morning!")
    loop = asyncio.get_running_loop()
    asking = [loop.create_task(_chat(proxy, number)) for number in range(3)]
    await asyncio.sleep(4)
    page = await _page(browser, "light")
    await page.goto(proxy.url)
    await page.locator("#underway tbody tr").nth(1).wait_for()
    await page.wait_for_timeout(2500)
    await page.screenshot(path=FOLDER / "page-now.png")
    page = await _page(browser, "dark")
    await page.goto(f"{proxy.url}/usage?days=30&by=day")
    await page.locator("#chart canvas").wait_for()
    await page.wait_for_timeout(500)
    await page.screenshot(path=FOLDER / "page-usage.png")
    await asyncio.gather(*asking)


async def _chat(proxy: RunningProxy, number: int) -> None:
    headers = {"user-agent": _PROGRAMS[number]}
    model = list(_MODELS)[number % 2]
    await ask(proxy, f"[[pace 0.1 160]] story {number}", model, stream=True, headers=headers)


async def _page(browser: Browser, scheme: Any) -> Page:
    context = await browser.new_context(viewport=_SIZE, color_scheme=scheme)  # type: ignore[arg-type]  # a size is one
    return await context.new_page()


if __name__ == "__main__":
    asyncio.run(main())
