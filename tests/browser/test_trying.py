"""The chat at /try, the doctor at /setup, and who may see any of it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest_asyncio

from claude_max_proxy.testing import Reply, Text, ToolUse
from claude_max_proxy.testing.openai_upstream import ScriptedOpenAI
from tests.browser.conftest import Served
from tests.browser.traffic import PROXY_TOML, get
from tests.browser.visiting import Visit, Visitor
from tests.end_to_end.running import RunningProxy, proxy_toml, until


KEYED = '\n[server.api_keys]\nme = { key = "the-key-of-mine", admin = true }\ncron = "the-key-of-cron"\n'
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proxy(start_proxy: Served) -> AsyncIterator[RunningProxy]:
    """Run a proxy without keys."""
    yield await start_proxy(PROXY_TOML)


async def _say(visitor: Visitor, text: str) -> None:
    await visitor.page.get_by_label("Message").fill(text)
    await visitor.page.get_by_role("button", name="Send", exact=True).click()


async def test_an_answer_streams_and_goes_on(
    visit: Visit, proxy: RunningProxy, upstream: ScriptedOpenAI
) -> None:
    """The answer grows while it arrives, hostile text stays text, and the next turn has the whole chat."""
    visitor = await visit(proxy, "/try")
    await _say(visitor, "[[pace 0.05 40]]")
    answer = visitor.page.locator("#talk article.assistant").first
    await answer.wait_for()
    early = len(await answer.inner_text())
    await answer.get_by_text("w39").wait_for()
    assert 0 < early < len(await answer.inner_text())
    await _say(visitor, "[[say <img src=x onerror=alert(1)>]]")
    await visitor.page.get_by_text("<img src=x onerror=alert(1)>", exact=True).wait_for()
    roles = [message["role"] for message in upstream.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "user"]
    assert await visitor.page.locator("img[src=x]").count() == 0
    assert visitor.complaints == []
    assert await visitor.violations() == []


async def test_it_can_be_stopped(visit: Visit, proxy: RunningProxy, upstream: ScriptedOpenAI) -> None:
    """The button ends the answer, at the provider too, and another question can be asked."""
    visitor = await visit(proxy, "/try")
    await _say(visitor, "[[pace 0.1 300]]")
    await visitor.page.locator("#talk article.assistant").wait_for()
    await visitor.page.get_by_role("button", name="Stop").click()
    await visitor.page.get_by_text("Stopped.").wait_for()
    assert await until(lambda: upstream.requests[0].disconnected)
    await _say(visitor, "[[say again]]")
    await visitor.page.get_by_text("first token").wait_for()


async def test_tools_and_images(visit: Visit, proxy: RunningProxy, upstream: ScriptedOpenAI) -> None:
    """A tool is offered, its call is shown, its result goes back; an image is sent; curl says the same."""
    upstream.script(Reply((ToolUse("get_weather", {"place": "Paris"}),)), Reply((Text("It is warm."),)))
    visitor = await visit(proxy, "/try", width=360)
    page = visitor.page
    await page.get_by_label("Tools", exact=True).check()
    files = [{"name": "dot.png", "mimeType": "image/png", "buffer": PIXEL}]
    await page.get_by_label("Images").set_input_files(files)  # type: ignore[arg-type]  # a dictionary will do
    await page.get_by_label("Message").fill("It's warm?")
    await page.get_by_text("The same with curl").click()
    assert "'It'\\''s warm?'" not in await page.inner_text("#curl")
    assert "It'\\''s warm?" in await page.inner_text("#curl")
    await page.get_by_role("button", name="Send", exact=True).click()
    await page.get_by_label("The result of get_weather").fill('{"temperature": 25}')
    await page.get_by_role("button", name="Send the results").click()
    await page.locator("#talk").get_by_text("It is warm.").wait_for()
    first, second = (request.body for request in upstream.requests)
    assert first["tools"][0]["function"]["name"] == "get_weather"
    assert first["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert second["messages"][-1]["content"] == '{"temperature": 25}'
    assert visitor.complaints == []
    assert await visitor.overflow() <= 0
    assert await visitor.violations() == []


async def test_a_refusal_is_told(visit: Visit, proxy: RunningProxy) -> None:
    """An error's words are shown, and do nothing."""
    visitor = await visit(proxy, "/try?model=%3Cimg%20src=x%20onerror=alert(1)%3E")
    await _say(visitor, "hello")
    error = visitor.page.locator("#talk article.bad")
    await error.wait_for()
    assert "404" in await error.inner_text()
    assert await visitor.page.locator("img[src=x]").count() == 0


async def test_the_doctor(visit: Visit, proxy: RunningProxy) -> None:
    """The checks run when somebody asks for them, and a POST without the page's token does nothing."""
    visitor = await visit(proxy, "/setup")
    await visitor.page.get_by_role("button", name="Run the checks").click()
    await visitor.page.locator("#findings li").first.wait_for(timeout=60_000)
    assert "python" in (await visitor.page.inner_text("#findings")).lower()
    assert visitor.complaints == []
    async with proxy.client() as client:
        for body in ({}, {"token": ""}, {"token": "x" * 32}):
            assert (await client.post("/setup/doctor", json=body)).status_code == 403
        assert (await client.post("/setup/doctor", content=b"token")).status_code == 400
        page = {"origin": "https://evil.example", "content-type": "application/json"}
        assert (await client.post("/setup/doctor", content=b"{}", headers=page)).status_code == 403


async def test_a_key_is_asked_for(visit: Visit, start_proxy: Served) -> None:
    """With keys, a browser is asked for one; only an admin's opens the page, and the chat uses it too."""
    keyed = await start_proxy(PROXY_TOML + KEYED)
    for path in ("/", "/requests", "/usage", "/try", "/setup", "/now/events", "/usage/export.csv"):
        refused = await get(keyed, path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith("Basic")
        other = base64.b64encode(b":the-key-of-cron").decode()
        assert (await get(keyed, path, authorization=f"Basic {other}")).status_code == 401
    credentials = {"username": "", "password": "the-key-of-mine"}
    visitor = await visit(keyed, "/try", http_credentials=credentials)
    await _say(visitor, "[[say I know you]]")
    await visitor.page.get_by_text("I know you", exact=True).wait_for()
    await visitor.go("/setup")
    await visitor.open_all()
    text = await visitor.page.inner_text("main")
    assert "the-key-of" not in text
    assert "********" in text
    assert visitor.complaints == []


async def test_headers(proxy: RunningProxy) -> None:
    """Pages are not kept and cannot be framed; files are kept, by names that change with their content."""
    page = await get(proxy, "/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    name = page.text.partition('href="./static/page.')[2].partition('"')[0]
    file = await get(proxy, f"/static/page.{name}")
    assert "immutable" in file.headers["cache-control"]
    assert (await get(proxy, "/static/page.css")).status_code == 404
    assert (await get(proxy, "/static/..%2f__init__.py")).status_code == 404


async def test_with_the_real_cli(visit: Visit, start_proxy: Served, cli: str) -> None:
    """Over the real CLI, a chat streams, its processes are listed, and its second turn goes on live."""
    from claude_max_proxy.testing import ScriptedUpstream

    async with ScriptedUpstream() as provider:
        running = await start_proxy(
            proxy_toml(cli, {}, {}) + "\n[plugins]\npaths = []\n", **provider.environment()
        )
        visitor = await visit(running, "/try?model=claude-sonnet-4")
        for word in ("first", "second"):
            await _say(visitor, f"[[say {word}]]")
            await visitor.page.get_by_text(word, exact=True).wait_for(timeout=30_000)
            await visitor.page.get_by_text("first token").wait_for(timeout=30_000)
        await visitor.go("/")
        await visitor.page.locator("#processes tbody tr").first.wait_for()
        await visitor.go("/requests")
        assert "live" in await visitor.page.locator("#results tbody tr").first.inner_text()
        await visitor.page.locator("#results tbody a").first.click()
        await visitor.page.get_by_text("Until the first token").wait_for()
        assert visitor.complaints == []
