"""The inspector in the proxy: what it holds, who may switch it on, and that nothing gets anywhere else."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from claude_max_proxy.observers import inspector as plugin
from tests.server.live_proxy import TOML, LiveProxy


CANARY = "what-was-said-in-confidence"
KEYS = """
[server.api_keys]
me = { key = "key-of-me", admin = true }
cron = "key-of-cron"
"""
ADMIN, CRON = {"authorization": "Bearer key-of-me"}, {"authorization": "Bearer key-of-cron"}
ASKING = """
import claude_max_proxy as proxy

@proxy.hookimpl
def rewrite_request(request: proxy.Request) -> None:
    request.system += "Say please."
"""


def toml(folder: Path, more: str = "") -> str:
    """Return a configuration with a ledger of its own."""
    return f'{TOML}{more}\n[plugins.ledger]\nurl = "sqlite:///{folder}/ledger.sqlite"\n'


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[LiveProxy]:
    """A proxy without keys, with a plugin that changes requests."""
    async with LiveProxy(tmp_path, toml(tmp_path), asking=ASKING).serving() as live:
        yield live


async def say(proxy: LiveProxy, text: str = CANARY, **headers: str) -> str:
    """Say something, and return the id of the request."""
    body = {"model": "echo", "messages": [{"role": "user", "content": text}]}
    answer = await proxy.http.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-request-id"])


async def post(proxy: LiveProxy, path: str, headers: dict[str, str] | None = None, **fields: Any) -> int:
    """Post what the page posts, with its token; return the status."""
    page = (await proxy.http.get("/inspector", headers=headers or {})).text
    found = re.search(r'name="page-token" content="([^"]+)"', page)
    body = {**fields, "token": found[1] if found else ""}
    return (await proxy.http.post(path, json=body, headers=headers or {})).status_code


def reachable(start: object) -> list[str]:
    """Return every text that an object holds, directly or not."""
    seen, texts, left = {id(start)}, [], [start]
    while left:
        for one in gc.get_referents(left.pop()):
            if id(one) in seen or isinstance(
                one, ModuleType | FunctionType | type | asyncio.AbstractEventLoop
            ):
                continue
            seen.add(id(one))
            left.append(one)
            if isinstance(one, str):
                texts.append(one)
    return texts


def holds_canary() -> bool:
    """Return whether the inspector holds what was said."""
    return any(CANARY in text for text in reachable(plugin._Holder.inspector))


async def test_off_holds_nothing(proxy: LiveProxy) -> None:
    """While it is off, which it is at first, nothing that is said is held, and no view shows any of it."""
    id_ = await say(proxy)
    assert not holds_canary()
    for path in ("/", "/requests", f"/requests/{id_}", "/inspector", f"/inspector/{id_}"):
        assert CANARY not in (await proxy.http.get(path)).text
    assert (await proxy.http.get(f"/inspector/{id_}")).status_code == 404


async def test_on_and_off_again(proxy: LiveProxy, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """What is said is held and shown, and nowhere else; when it is ended, nothing is left."""
    with caplog.at_level(logging.DEBUG, "claude_max_proxy"):
        assert await post(proxy, "/inspector/on", minutes="5") == 200
        id_ = await say(proxy)
        assert holds_canary()
        assert CANARY in (await proxy.http.get("/inspector")).text
        said = (await proxy.http.get(f"/inspector/{id_}")).text
        assert CANARY in said
        assert "Say please." in said
        assert "What was said" in (await proxy.http.get(f"/requests/{id_}")).text
        for path in ("/", "/requests", "/usage", "/try", "/setup"):
            text = (await proxy.http.get(path)).text
            assert CANARY not in text
            assert "The inspector is on." in text
        for path in ("/metrics", "/status", "/health", f"/requests/{id_}", "/usage/export.json"):
            assert CANARY not in (await proxy.http.get(path)).text
        assert await post(proxy, "/inspector/off") == 200
    assert not holds_canary()
    assert (await proxy.http.get(f"/inspector/{id_}")).status_code == 404
    assert "The inspector is on." not in (await proxy.http.get("/")).text
    assert CANARY not in caplog.text
    lines = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert [line.split(" until")[0].split(",")[0] for line in lines] == [
        "the inspector is on",
        "the inspector is off",
    ]
    written = await asyncio.to_thread(
        lambda: b"".join(file.read_bytes() for file in tmp_path.glob("ledger*"))
    )
    assert id_.encode() in written
    assert CANARY.encode() not in written


async def test_a_reload_wipes(proxy: LiveProxy, tmp_path: Path) -> None:
    """After a reload it is off, and nothing is left."""
    assert await post(proxy, "/inspector/on", minutes=60) == 200
    await say(proxy)
    assert holds_canary()
    proxy.write(toml(tmp_path).replace("echo =", '"other" = "claude/two"\necho ='))
    await proxy.changed()
    await proxy.until(lambda: not plugin._Holder.inspector.is_on)
    assert not holds_canary()
    assert "The inspector is on." not in (await proxy.http.get("/")).text


async def test_the_end_wipes(tmp_path: Path) -> None:
    """When the proxy stops, nothing is left."""
    async with LiveProxy(tmp_path, toml(tmp_path)).serving() as proxy:
        assert await post(proxy, "/inspector/on", minutes=60) == 200
        await say(proxy)
        assert holds_canary()
    assert not holds_canary()
    assert not plugin._Holder.inspector.is_on


async def test_only_who_may_open_the_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With keys, only one with `admin = true` sees anything or switches anything; the log names it."""
    async with LiveProxy(tmp_path, toml(tmp_path, KEYS)).serving() as proxy:
        for headers in (CRON, {}):
            for path in ("/inspector", "/inspector/x"):
                assert (await proxy.http.get(path, headers=headers)).status_code == 401
            assert await post(proxy, "/inspector/on", headers, minutes=5) == 401
        assert not plugin._Holder.inspector.is_on
        assert await post(proxy, "/inspector/on", ADMIN, minutes=5, key="cron") == 200
        assert "the key 'me' has switched it on" in caplog.text
        await say(proxy, "of mine", **ADMIN)
        await say(proxy, **CRON)
        page = (await proxy.http.get("/inspector", headers=ADMIN)).text
        assert CANARY in page
        assert "of mine" not in page
        assert await post(proxy, "/inspector/off", CRON) == 401
        assert plugin._Holder.inspector.is_on


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"minutes": 0},
        {"minutes": 61},
        {"minutes": "x"},
        {"minutes": 5, "key": 7},
        {"minutes": 5, "model": "x" * 201},
    ],
)
async def test_what_makes_no_sense_is_refused(proxy: LiveProxy, fields: dict[str, Any]) -> None:
    """A time that is too long, and everything else that the page does not send, changes nothing."""
    assert await post(proxy, "/inspector/on", **fields) == 400
    assert not plugin._Holder.inspector.is_on


async def test_another_page_cannot_switch_it_on(proxy: LiveProxy) -> None:
    """Without the page's token, or from a foreign origin, nothing happens."""
    assert (await proxy.http.post("/inspector/on", json={"minutes": 5, "token": "x" * 32})).status_code == 403
    assert await post(proxy, "/inspector/on", {"origin": "http://evil.example"}, minutes=5) == 403
    assert not plugin._Holder.inspector.is_on


async def test_it_can_be_forbidden(tmp_path: Path) -> None:
    """With `enabled = false` nobody can switch it on, and the page says so."""
    more = "[plugins.inspector]\nenabled = false\n"
    async with LiveProxy(tmp_path, toml(tmp_path, more)).serving() as proxy:
        assert await post(proxy, "/inspector/on", minutes=5) == 404
        id_ = await say(proxy)
        page = await proxy.http.get("/inspector")
        assert page.status_code == 404
        assert "does not allow the inspector" in page.text
        assert (await proxy.http.get(f"/inspector/{id_}")).status_code == 404
        assert "/inspector" not in (await proxy.http.get("/requests")).text
        assert not holds_canary()


async def test_forbidding_it_wipes(proxy: LiveProxy, tmp_path: Path) -> None:
    """A reload that forbids it ends it."""
    assert await post(proxy, "/inspector/on", minutes=60) == 200
    await say(proxy)
    proxy.write(toml(tmp_path, "[plugins.inspector]\nenabled = false\n"))
    await proxy.changed()
    await proxy.until(lambda: not plugin._Holder.inspector.is_on)
    assert not holds_canary()
