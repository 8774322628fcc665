"""A change that opens something takes effect only after a second look; others take effect at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.server.live_proxy import TOML, LiveProxy


pytestmark = pytest.mark.slow
PATIENCE = 1.5
SERVER = """
[models.reader]
to = "claude/two"
[models.reader.agent]
tools = ["Bash"]
directory = "/"
allow = ["Bash(git log:*)"]
[plugins.word]
word = "x"
on_error = "fail"
[server]
allowed_hosts = ["a.lan"]
api_keys = { me = "secret", few = { key = "secret-2", models = ["echo"], requests_per_minute = 5 } }
"""
PLUGIN = """
import claude_max_proxy as proxy


class Settings(proxy.Settings, frozen=True):
    word: str = ""


@proxy.hookimpl
def rewrite_request(request, settings): ...
"""
KEY = {"authorization": "Bearer secret"}


def changed(old: str, new: str) -> str:
    """Return the configuration with a change."""
    assert old in SERVER
    return TOML + SERVER.replace(old, new)


OPEN = {
    "no table": (TOML + SERVER.partition("[server]")[0], "takes all API keys away"),
    "no keys": (TOML + SERVER.partition("api_keys")[0], "takes all API keys away"),
    "empty keys": (TOML + SERVER.partition("api_keys")[0] + "api_keys = {}\n", "takes all API keys away"),
    "a page": (changed("[server]", '[server]\nallowed_origins = ["https://a.lan"]'), "to allowed_origins"),
    "a host": (changed('"a.lan"', '"a.lan", "b.lan"'), "adds 'b.lan' to allowed_hosts"),
    "a proxy": (changed("[server]", '[server]\ntrusted_proxies = ["10.0.0.1"]'), "to trusted_proxies"),
    "what an agent may do": (
        changed('allow = ["Bash(git log:*)"]\n', ""),
        "changes what models.reader.agent may do",
    ),
    "an agent": (
        TOML + 'new = { to = "claude/a", agent = { tools = ["Read"], directory = "/" } }' + SERVER,
        "changes what models.new.agent may do",
    ),
    "a plugin that may fail": (changed('on_error = "fail"', ""), "leaves 'on_error' out of [plugins.word]"),
    "a plugin's own": (changed('word = "x"', ""), "leaves 'word' out of [plugins.word]"),
    "all models": (changed('models = ["echo"], ', ""), "lets 'few' do more"),
    "more models": (changed('models = ["echo"]', 'models = ["echo", "opus"]'), "lets 'few' do more"),
    "more often": (changed("minute = 5", "minute = 6"), "lets 'few' do more"),
    "as often as it likes": (changed(", requests_per_minute = 5", ""), "lets 'few' do more"),
    "more, with another name": (
        changed('few = { key = "secret-2", models = ["echo"],', 'renamed = { key = "secret-2",'),
        "lets 'renamed' do more",
    ),
    "more, with another secret": (
        changed('key = "secret-2", models = ["echo"],', 'key = "secret-3",'),
        "lets 'few' do more",
    ),
}
CLOSED = {
    "no agent": changed(
        '[models.reader.agent]\ntools = ["Bash"]\ndirectory = "/"\nallow = ["Bash(git log:*)"]\n', ""
    ),
    "a plugin's word": changed('word = "x"', 'word = "y"'),
    "a model": TOML + 'new = "claude/two"\n' + SERVER,
    "fewer models": TOML.replace("echo", "reflection") + SERVER,
    "a further key": changed('me = "secret"', 'me = "secret", you = "secret-3"'),
    "one key fewer": changed('me = "secret", ', ""),
    "another secret": changed('"secret"', '"secret-3"'),
    "another name": changed("me =", "you ="),
    "names exchanged": changed("me =", "x =").replace("few =", "me =").replace("x =", "few ="),
    "less often": changed("minute = 5", "minute = 4"),
    "fewer hosts": changed('"a.lan"', ""),
    "a bound": changed('me = "secret"', 'me = { key = "secret", models = ["echo"] }'),
}


@pytest.mark.parametrize(("toml", "told"), OPEN.values(), ids=OPEN)
async def test_what_opens_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, toml: str, told: str
) -> None:
    """A change that opens something takes effect when the file has stayed the same; the log names it."""
    async with LiveProxy(tmp_path, TOML + SERVER, word=PLUGIN, patience=PATIENCE).serving() as proxy:
        before, began = proxy.live.runtime, time.monotonic()
        proxy.write(toml)
        async with asyncio.timeout(20):
            while proxy.live.runtime is before:  # noqa: ASYNC110  # a reload tells nobody
                await asyncio.sleep(0.02)
        assert time.monotonic() - began >= PATIENCE
        assert proxy.live.runtime is not before
    assert caplog.text.count(told) == 1


@pytest.mark.parametrize("toml", CLOSED.values(), ids=CLOSED)
async def test_what_opens_nothing_is_live(tmp_path: Path, toml: str) -> None:
    """Other changes do not wait."""
    async with LiveProxy(tmp_path, TOML + SERVER, word=PLUGIN, patience=60).serving() as proxy:
        proxy.write(toml)
        await proxy.changed()


@pytest.mark.parametrize("toml", [TOML, TOML + "[server]\napi_keys = {}\n"], ids=["cut", "emptied"])
async def test_what_is_taken_back_in_time(tmp_path: Path, toml: str) -> None:
    """A change that is undone before that never takes effect; the other changes do, soon."""
    async with LiveProxy(tmp_path, TOML + SERVER, word=PLUGIN, patience=PATIENCE).serving() as proxy:
        proxy.write(toml)
        await asyncio.sleep(PATIENCE / 2)
        began = time.monotonic()
        proxy.write(TOML + 'new = "claude/two"\n' + SERVER)
        await proxy.changed()
        assert time.monotonic() - began < PATIENCE
        assert proxy.live.runtime.config.server.api_keys
        assert (await proxy.ask("new")).status_code == 401
        assert (await proxy.ask("new", **KEY)).status_code == 200


async def test_every_beginning_of_a_file(tmp_path: Path) -> None:
    """Whatever part of a file has been written when it is read, no client gets in without a key."""
    text = TOML + SERVER
    async with LiveProxy(tmp_path, text, word=PLUGIN, poll=0.004, patience=60).serving() as proxy:
        for length in range(0, len(text), 3):
            proxy.write(text[:length])
            for _ in range(5):
                await asyncio.sleep(0.004)
                assert (await proxy.ask()).status_code == 401, text[:length]
        proxy.write(text)
        await proxy.until(lambda: not proxy.live.runtime.problem)
        assert (await proxy.ask(**KEY)).status_code == 200


@pytest.mark.parametrize("toml", ["", "\n\n", "# my proxy\n"])
async def test_a_file_that_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture, toml: str) -> None:
    """An emptied file changes nothing, however long it stays empty, and /health and the log say so."""
    async with LiveProxy(tmp_path, TOML + SERVER, word=PLUGIN, patience=0.1).serving() as proxy:
        before = proxy.live.runtime
        proxy.write(toml)
        await proxy.until(lambda: before.problem)
        await asyncio.sleep(0.5)
        assert proxy.live.runtime is before
        said = f"{proxy.file} is empty or gone"
        assert said in (await proxy.health())["config_problem"]
        assert caplog.text.count(said) == 1
        assert (await proxy.ask()).status_code == 401


async def test_a_file_that_never_said_anything(tmp_path: Path) -> None:
    """With a file that was empty from the start, a plugin's change takes effect as usual."""
    async with LiveProxy(tmp_path, "# nothing yet\n").serving() as proxy:
        proxy.plugin("new", "")
        await proxy.changed()
        assert not proxy.live.runtime.problem
