"""The ledger in the proxy: what is kept of requests, over reloads, and what the doctor says of it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from claude_max_proxy import Check, Config, Finding
from claude_max_proxy.config import parse
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.ledger import Ledger, Row
from claude_max_proxy.observers import ledger as plugin
from claude_max_proxy.plugin.plugins import Plugins, load_built_ins
from tests.server.live_proxy import TOML, LiveProxy


KEYED = '\n[server]\napi_keys = { alice = "sk-alice" }\n'
WORDS = "words that nobody else may read"


def toml(folder: Path, name: str = "a", more: str = "") -> str:
    """Return a configuration whose ledger has this name."""
    return f'{TOML}\n[plugins.ledger]\nurl = "sqlite:///{folder / name}.sqlite"\n{more}'


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[LiveProxy]:
    """Return a running proxy, nothing of which may block the event loop."""
    made = LiveProxy(tmp_path, toml(tmp_path))
    with blockbuster_ctx("claude_max_proxy.observers"):
        async with made.serving():
            yield made


def find(proxy: LiveProxy) -> Ledger:
    """Return the ledger that other plugins find."""
    found = proxy.live.runtime.context.find(Ledger)
    assert found is not None
    return found


async def rows(ledger: Ledger, number: int) -> dict[str, Row]:
    """Return the rows by their ids when there are so many; a record comes just after its answer."""
    async with asyncio.timeout(10):
        while len(found := await ledger.requests()) < number:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0.02)
    assert len(found) == number
    return {row.id: row for row in found}


def count(file: Path) -> int:
    """Return how many requests are in a file, without the proxy's help."""
    with closing(sqlite3.connect(file)) as database:
        (found,) = database.execute("SELECT count(*) FROM requests").fetchone()
    return int(found)


async def test_every_request_is_a_row(proxy: LiveProxy) -> None:
    """Answers, refusals and routes that do not exist are rows with the ids that clients were told."""
    body = {"model": "echo", "messages": [{"role": "user", "content": WORDS}]}
    answers = [
        await proxy.http.post("/v1/chat/completions", json=body),
        await proxy.http.post("/v1/messages", json={**body, "max_tokens": 5}),
        await proxy.http.post("/v1/chat/completions", json={**body, "model": "nobody"}),
        await proxy.http.post("/v1/chat/completions", json={"model": "echo", "messages": WORDS}),
        await proxy.http.post("/v1/nowhere", json={}),
    ]
    assert [one.status_code for one in answers] == [200, 200, 404, 400, 404]
    found = await rows(find(proxy), 5)
    kept = [found[one.headers["x-request-id"]] for one in answers]
    assert [row.status for row in kept] == [200, 200, 404, 400, 404]
    assert [row.dialect for row in kept] == [
        "openai-chat",
        "anthropic-messages",
        "openai-chat",
        "openai-chat",
        "",
    ]
    assert [row.ending for row in kept] == ["completed", "completed", "refused", "refused", "refused"]
    assert (kept[0].backend, kept[0].upstream_model, kept[0].input_tokens) == ("claude", "upstream-model", 3)
    assert kept[2].code == "model_not_found"
    assert WORDS not in repr(found)


async def test_refused_keys_are_rows(tmp_path: Path) -> None:
    """A request with a wrong key is a row, which contains neither that key nor a right one."""
    async with LiveProxy(tmp_path, toml(tmp_path, more=KEYED)).serving() as proxy:
        wrong = await proxy.ask(authorization="Bearer sk-wrong-key")
        right = await proxy.ask(authorization="Bearer sk-alice")
        found = await rows(find(proxy), 2)
    assert (wrong.status_code, right.status_code) == (401, 200)
    assert (found[wrong.headers["x-request-id"]].key, found[right.headers["x-request-id"]].key) == (
        "",
        "alice",
    )
    assert b"sk-" not in await asyncio.to_thread((tmp_path / "a.sqlite").read_bytes)


async def test_a_reload_keeps_the_ledger(proxy: LiveProxy, tmp_path: Path) -> None:
    """With the same URL, the same ledger goes on, and is offered to the plugins of the new generation."""
    await proxy.ask()
    before = find(proxy)
    proxy.write(toml(tmp_path, more="keep_days = 5\n"))
    await proxy.changed()
    await proxy.ask()
    assert find(proxy) is before
    await rows(before, 2)


async def test_a_reload_to_another_database(proxy: LiveProxy, tmp_path: Path) -> None:
    """With another URL, what was before is written to the old database, and what comes to the new one."""
    await proxy.ask()
    proxy.write(toml(tmp_path, "b"))
    await proxy.changed()
    await proxy.until(lambda: find(proxy).url.endswith("b.sqlite"))
    await proxy.ask()
    await rows(find(proxy), 1)
    assert await asyncio.to_thread(count, tmp_path / "a.sqlite") == 1
    assert await asyncio.to_thread(count, tmp_path / "b.sqlite") == 1


async def test_switched_off(proxy: LiveProxy, tmp_path: Path) -> None:
    """A ledger that is switched off keeps nothing more; switched on again, it goes on."""
    await proxy.ask()
    proxy.write(toml(tmp_path, more="enabled = false\n"))
    await proxy.changed()
    await proxy.ask()
    assert proxy.live.runtime.context.find(Ledger) is None
    proxy.write(toml(tmp_path))
    await proxy.changed()
    await proxy.until(lambda: proxy.live.runtime.context.find(Ledger))
    await proxy.ask()
    await rows(find(proxy), 2)


async def test_the_end_writes_everything(tmp_path: Path) -> None:
    """When the proxy stops, what has just ended is in the database."""
    async with LiveProxy(tmp_path, toml(tmp_path)).serving() as proxy:
        await asyncio.gather(*(proxy.ask() for _ in range(20)))
    assert await asyncio.to_thread(count, tmp_path / "a.sqlite") == 20


async def examine(url: str) -> Finding:
    """Return what the doctor finds of a ledger with this URL."""
    checks: list[Check] = []

    def register(check: Check) -> None:
        checks.append(check)

    plugin.register_checks(register, Config(), plugin.Settings(url=url))
    return await checks[0].run()


async def test_the_doctor(tmp_path: Path) -> None:
    """The doctor says where the ledger is, whether it can be used, and creates nothing."""
    file = tmp_path / "ledger.sqlite"
    new = await examine(f"sqlite:///{file}")
    assert (new.status, "is created with the first request" in new.text, file.exists()) == ("ok", True, False)
    ledger = Ledger(f"sqlite:///{file}", folder=tmp_path)
    await ledger.flush()
    await ledger.close()
    used = await examine(f"sqlite:///{file}")
    assert (used.status, used.text) == ("ok", f"sqlite:///{file} keeps requests for 90 days; there are none")
    await asyncio.to_thread(file.write_bytes, b"this is no database at all" * 100)
    broken = await examine(f"sqlite:///{file}")
    assert (broken.status, "file is not a database" in broken.text) == ("fail", True)
    gone = await examine("env:NO_SUCH_VARIABLE")
    assert (gone.status, "NO_SUCH_VARIABLE" in gone.text) == ("fail", True)
    away = await examine("postgresql://someone:hunter22@127.0.0.1:1/x")
    assert (away.status, "hunter22" in str(away)) == ("fail", False)


@pytest.mark.parametrize("table", [{"url": "mysql://a:hunter22@b/c"}, {"keep_days": -1}, {"keep": 3}])
def test_settings_that_cannot_be(table: dict[str, object]) -> None:
    """What is wrong in the table is said when the file is read, by its place and without a password."""
    config = parse({"plugins": {"ledger": table}}, None)
    with pytest.raises(ConfigError, match=r"plugins\.ledger") as caught:
        Plugins(load_built_ins(), config.plugins)
    assert "hunter22" not in str(caught.value)
