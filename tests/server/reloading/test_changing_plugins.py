"""Plugins that come, go, break and are told of a change, while the proxy runs."""

from __future__ import annotations

import asyncio
import builtins
import errno
import logging
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripted import SILENCE
from tests.server.exchange import Exchange, chat, running
from tests.server.live_proxy import SECOND, TOML, LiveProxy


HOOK = """
from claude_max_proxy import hookimpl

heard = []

@hookimpl
def rewrite_request(request):
    request.system += "A"

@hookimpl
def configured(old, new):
    heard.append(("configured", sorted(old.models)[-1] if old else None, sorted(new.models)[-1]))

@hookimpl
async def shutdown():
    heard.append("shutdown")
"""


def heard(proxy: LiveProxy, name: str = "plugin") -> list[object]:
    """Return what a plugin has recorded."""
    return next(plugin.module.heard for plugin in proxy.live.runtime.plugins if plugin.name == name)


async def test_a_plugin_comes_and_goes(tmp_path: Path) -> None:
    """A plugin file that is added, changed or deleted takes effect."""
    async with LiveProxy(tmp_path).serving() as proxy:
        for source, system in ((HOOK, "A"), (HOOK.replace('"A"', '"B"'), "B"), (None, "")):
            if source is None:
                (proxy.plugins / "plugin.py").unlink()
            else:
                proxy.plugin("plugin", source)
            await proxy.changed()
            await proxy.ask()
            assert proxy.backend.asked[-1][0].system == system


async def test_a_plugin_that_breaks(tmp_path: Path) -> None:
    """After a broken change the last good version keeps running, and ``/health`` names file and line."""
    async with LiveProxy(tmp_path, plugin=HOOK).serving() as proxy:
        proxy.plugin("plugin", HOOK + "\n1 / 0\n")
        await proxy.changed()
        await proxy.ask()
        assert proxy.backend.asked[-1][0].system == "A"
        problem = (await proxy.health())["plugin_problems"]["plugin"]
        assert f"{proxy.plugins / 'plugin.py'}:{len(HOOK.splitlines()) + 2}" in problem
        assert "ZeroDivisionError" in problem
        proxy.write(SECOND)
        await proxy.changed()
        assert (await proxy.health())["plugin_problems"]["plugin"] == problem
        proxy.plugin("plugin", HOOK.replace('"A"', '"C"'))
        await proxy.changed()
        assert "plugin_problems" not in await proxy.health()


async def test_a_new_plugin_that_is_broken(tmp_path: Path) -> None:
    """A new plugin file that cannot be used stops nothing, and is reported."""
    async with LiveProxy(tmp_path).serving() as proxy:
        proxy.plugin("broken", "import nothing_of_that_name\n")
        await proxy.changed()
        assert "nothing_of_that_name" in (await proxy.health())["plugin_problems"]["broken"]
        assert (await proxy.ask()).status_code == 200


async def test_a_plugin_others_could_write(tmp_path: Path) -> None:
    """A file that another user could write to is not run, and everything stays as it was."""
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.live.runtime
        file = proxy.plugins / "open.py"
        file.touch(mode=0o600)
        file.chmod(0o666)
        file.write_text("raise SystemExit")
        await proxy.until(lambda: before.problem)
        assert f"{file} is writable by others; run: chmod go-w {file}" in before.problem
        assert (await proxy.ask()).status_code == 200


async def test_a_plugin_keeps_what_it_holds(tmp_path: Path) -> None:
    """A plugin whose file did not change stays the same module, with its state."""
    async with LiveProxy(tmp_path, plugin=HOOK).serving() as proxy:
        before = heard(proxy)
        proxy.write(SECOND)
        await proxy.changed()
        await proxy.until(lambda: len(before) == 2)
        assert heard(proxy) is before


async def test_what_a_plugin_hears(tmp_path: Path) -> None:
    """``configured`` is called at the start and at each change, ``shutdown`` at the end, once each."""
    proxy = LiveProxy(tmp_path, plugin=HOOK)
    own = heard(proxy)
    async with proxy.serving():
        assert own == [("configured", None, "sonnet")]
        proxy.write(TOML + 'zebra = "claude/two"\n')
        await proxy.changed()
        await proxy.until(lambda: len(own) > 1)
        proxy.write("[models\n")
        await proxy.until(lambda: proxy.live.runtime.problem)
    assert own == [("configured", None, "sonnet"), ("configured", "sonnet", "zebra"), "shutdown"]


async def test_old_code_is_told_to_end(tmp_path: Path) -> None:
    """``shutdown`` is called for an old version when a new one is in force and its last request has ended."""
    async with LiveProxy(tmp_path, plugin=HOOK).serving() as proxy:
        old = heard(proxy)
        proxy.backend.script[3:3] = [SILENCE]
        exchange = Exchange(chat(model="echo"))
        async with running(proxy.live, exchange):
            await exchange.hears(b"Hello!")
            proxy.plugin("plugin", HOOK + "\n")
            await proxy.changed()
            await asyncio.sleep(0.1)
            assert "shutdown" not in old
        await proxy.until(lambda: "shutdown" in old)
        new = heard(proxy)
        assert new is not old
        assert new == [("configured", "sonnet", "sonnet")]
    assert (old.count("shutdown"), new.count("shutdown")) == (1, 1)


async def test_an_end_while_an_old_request_runs(tmp_path: Path) -> None:
    """What two configurations share ends once, even if the proxy stops while the older one still answers."""
    proxy = LiveProxy(tmp_path, plugin=HOOK)
    own, backend = heard(proxy), proxy.backend
    backend.script[3:3] = [SILENCE]
    exchange = Exchange(chat(model="echo"))
    async with running(proxy.live, exchange):
        async with proxy.serving():
            await exchange.hears(b"Hello!")
            proxy.write(SECOND)
            await proxy.changed()
        assert own.count("shutdown") == 1
        assert backend.calls == ["start", "stop"]


async def test_reloading_says_what_has_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says when a new configuration takes effect, and which settings changed, without values."""
    caplog.set_level(logging.INFO)
    async with LiveProxy(tmp_path, TOML + 'mine = "claude/x"\n', one=HOOK).serving() as proxy:
        proxy.write(TOML + 'theirs = "claude/x"\n[server]\nhold = 1\napi_keys = { me = "a secret" }\n')
        await proxy.changed()
        await proxy.until(lambda: "is reloaded" in caplog.text)
        proxy.plugin("one", HOOK + "\n")
        await proxy.until(lambda: caplog.text.count("is reloaded") == 2)
    first, second = (line for line in caplog.messages if "is reloaded" in line)
    assert first.removeprefix("the configuration is reloaded: ") == (
        "new: models.theirs; changed: server.api_keys, server.hold; gone: models.mine"
    )
    assert second == f"the configuration is reloaded: changed: {proxy.plugins / 'one.py'}"


async def test_every_mistake_of_a_new_file_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The mistakes in a changed file are logged one by one, each with its line."""
    async with LiveProxy(tmp_path, one=HOOK).serving() as proxy:
        module = sys.modules["claude_max_proxy_drop_in_one"]
        proxy.write("hold = 1\n" + TOML + 'a = "nobody/x"\n[backends.b]\ntype = "scriptd"\n')
        await proxy.until(lambda: proxy.live.runtime.problem)
        told = proxy.live.runtime.problem.splitlines()
        assert sys.modules["claude_max_proxy_drop_in_one"] is module  # what is in force is not imported again
    lines = len(TOML.splitlines())
    assert [line.removeprefix(f"{proxy.file}:").split(";")[0] for line in told] == [
        "1: hold: put it under [server]",
        f"{lines + 4}: backends.b.type: unknown backend type 'scriptd'",
        f"{lines + 2}: models.a: there is no backend 'nobody'",
    ]
    assert [line for line in caplog.messages if "stays as it was" in line] == [
        f"the configuration stays as it was: {line}" for line in told
    ]


async def test_an_import_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a file is imported that never ends, requests are answered, and then the rest takes effect."""
    gate = threading.Event()
    monkeypatch.setattr(builtins, "gate", gate, raising=False)
    monkeypatch.setattr("claude_max_proxy.plugin.drop_ins.IMPORT_TIMEOUT", 0.3)
    async with LiveProxy(tmp_path).serving() as proxy:
        proxy.plugin("endless", "import builtins\nbuiltins.gate.wait(30)\n")
        await proxy.until(lambda: any(one.name == "import-endless" for one in threading.enumerate()))
        before = proxy.live.runtime
        assert (await proxy.ask()).status_code == 200
        assert proxy.live.runtime is before
        await proxy.changed()
        assert "it took longer than 0.3 s" in (await proxy.health())["plugin_problems"]["endless"]
        proxy.write(SECOND)
        await proxy.changed()
        assert (await proxy.ask("other")).status_code == 200
        gate.set()


async def test_a_watcher_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the files cannot be watched for a while, ``/health`` says so, and the next change takes effect."""
    looks: list[Path] = []
    look = Path.glob

    def glob(self: Path, pattern: str) -> Iterator[Path]:
        looks.append(self)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with LiveProxy(tmp_path).serving() as proxy:
        monkeypatch.setattr(Path, "glob", glob)
        await proxy.until(lambda: looks)
        await proxy.until(lambda: proxy.live.runtime.health().get("task_problems"))
        monkeypatch.setattr(Path, "glob", look)
        told = (await proxy.health())["task_problems"]["watch-configuration"]
        assert "it ended" in told
        assert "Too many open files" in told
        proxy.write(SECOND)
        await proxy.changed()
        assert (await proxy.ask("other")).status_code == 200
