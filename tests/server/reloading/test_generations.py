"""Reloading: a saved change takes effect soon, without losing a request; a broken file changes nothing."""

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
from typing import Any

import pytest

from claude_max_proxy import ConfigError
from tests.scripted import SILENCE
from tests.server.exchange import Exchange, chat, running
from tests.server.live_proxy import TOML, LiveProxy


SECOND = TOML + 'other = "claude/two"\n'
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


# --- proxy.toml


async def test_a_new_model_is_live(tmp_path: Path) -> None:
    """A model that is added to ``proxy.toml`` can be asked for as soon as the file is read."""
    async with LiveProxy(tmp_path).serving() as proxy:
        assert (await proxy.ask("other")).status_code == 404
        proxy.write(SECOND)
        await proxy.changed()
        assert (await proxy.ask("other")).status_code == 200
        assert "other" in [row["id"] for row in (await proxy.http.get("/v1/models")).json()["data"]]


async def test_a_request_keeps_its_configuration(tmp_path: Path) -> None:
    """A request that is being answered finishes with the configuration that it began with."""
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.backend
        before.script[3:3] = [0.3]
        exchange = Exchange(chat(model="echo"))
        async with running(proxy.live, exchange) as task:
            await exchange.hears(b"Hello!")
            proxy.write(TOML.replace('type = "scripted"', 'type = "scripted"\nstatus = "degraded"'))
            await proxy.changed()
            assert proxy.backend is not before
            assert before.calls == ["start"]
            await asyncio.wait_for(task, 5)
        assert (exchange.complete, exchange.text) == (True, "Hello!")
        await proxy.until(lambda: before.calls == ["start", "stop"])


async def test_an_unchanged_backend_is_taken_over(tmp_path: Path) -> None:
    """A backend whose table did not change is kept, and is neither started nor stopped again."""
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.backend
        proxy.write(SECOND)
        await proxy.changed()
        assert proxy.backend is before
        await asyncio.sleep(0.1)
        assert before.calls == ["start"]
    assert before.calls == ["start", "stop"]


async def test_a_removed_backend_is_stopped(tmp_path: Path) -> None:
    """A backend that is removed is stopped when no request waits for it any more; a new one is started."""
    second = '[backends.second]\ntype = "scripted"\n'
    async with LiveProxy(tmp_path, second + TOML).serving() as proxy:
        removed: Any = proxy.live.runtime.backends["second"]
        proxy.write(second.replace("second", "third") + TOML)
        await proxy.changed()
        await proxy.until(lambda: removed.calls == ["start", "stop"])
        added: Any = proxy.live.runtime.backends["third"]
        assert added.calls == ["start"]
        assert proxy.backend.calls == ["start"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("[models\n", "proxy.toml:1: not valid TOML"),
        (TOML + "[server]\nprot = 1\n", "server: unknown key 'prot'; did you mean 'port'?"),
        (TOML + 'wrong = "cloude/x"\n', "models.wrong: there is no backend 'cloude'"),
        ('[plugins]\npaths = ["nowhere"]\n' + TOML, "unknown backend type 'scripted'"),
        (TOML + '[server]\napi_keys = { a = "env:NOT_SET_AT_ALL" }\n', "'NOT_SET_AT_ALL' is not set"),
        (TOML + '[server]\nallowed_origins = ["*"]\n', "server.allowed_origins: '*' is not an origin"),
    ],
)
async def test_a_broken_file_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str, message: str
) -> None:
    """If the file is broken, everything stays as it was; the log and ``/health`` say where it is broken."""
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.live.runtime
        proxy.write(broken)
        await proxy.until(lambda: before.problem)
        assert proxy.live.runtime is before
        assert message in (await proxy.health())["config_problem"]
        assert (await proxy.ask()).status_code == 200
        await asyncio.sleep(0.1)  # the files are examined five times
        assert caplog.text.count(message) == 1  # it is logged once, not each time the files are examined
        proxy.write(SECOND)
        await proxy.changed()
        assert "config_problem" not in await proxy.health()


async def test_a_backend_that_cannot_start(tmp_path: Path) -> None:
    """A configuration whose backend fails to start, whatever it raises, does not take effect."""
    failing = """
from claude_max_proxy import Backend, Settings, hookimpl

class Failing(Backend):
    def __init__(self, name, settings): ...
    async def start(self):
        raise OSError("no such device")
    async def answer(self, request, model):
        yield

@hookimpl
def register_backends(register):
    register("failing", Settings, Failing)
"""
    async with LiveProxy(tmp_path, failing=failing).serving() as proxy:
        before = proxy.live.runtime
        proxy.write('[backends.new]\ntype = "failing"\n' + TOML)
        await proxy.until(lambda: before.problem)
        assert "no such device" in before.problem
        assert proxy.backend.calls == ["start"]
        proxy.write(SECOND)
        await proxy.changed()
        assert (await proxy.ask("other")).status_code == 200


async def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """Deleting ``proxy.toml`` changes nothing; a file that is written there later takes effect."""
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.live.runtime
        proxy.file.unlink()
        await proxy.until(lambda: before.problem)
        assert (await proxy.ask()).status_code == 200
        proxy.write(SECOND)
        await proxy.changed()
        assert (await proxy.ask("other")).status_code == 200


async def test_a_file_that_is_being_written(tmp_path: Path) -> None:
    """A file is read when it is complete: one that is truncated for a moment never takes effect."""
    async with LiveProxy(tmp_path, poll=0.2).serving() as proxy:
        before = proxy.live.runtime
        for _ in range(50):
            proxy.write("")
            await asyncio.sleep(0.005)
            proxy.write(SECOND)
            await asyncio.sleep(0.005)
        assert proxy.live.runtime is before
        await proxy.changed()
        assert "other" in proxy.live.runtime.config.models


async def test_what_is_fixed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A change of a setting that cannot change while the process runs is reported; the rest takes effect."""
    caplog.set_level(logging.INFO)
    async with LiveProxy(tmp_path).serving() as proxy:
        proxy.write(SECOND + '[server]\nport = 9999\nhost = "127.0.0.2"\nhold = 1.0\n')
        await proxy.changed()
        server = proxy.live.runtime.config.server
        assert (server.port, server.host, server.hold) == (3456, "127.0.0.1", 1.0)
        await proxy.until(lambda: "is reloaded" in caplog.text)
    assert "changed: server.hold; waiting for a restart: server.host, server.port\n" in caplog.text


async def test_keys_stay_where_others_can_reach(tmp_path: Path) -> None:
    """Keys cannot be removed while the server listens beyond loopback, whatever host the file names."""
    open_ = '[server]\nhost = "0.0.0.0"\napi_keys = { me = "secret" }\n'
    async with LiveProxy(tmp_path, TOML + open_).serving() as proxy:
        before = proxy.live.runtime
        proxy.write(TOML)
        await proxy.until(lambda: before.problem)
        assert "api_keys must be set" in before.problem
        assert (await proxy.ask()).status_code == 401


async def test_keys_are_live(tmp_path: Path) -> None:
    """A key that is added or removed counts from the next request on."""
    async with LiveProxy(tmp_path).serving() as proxy:
        assert (await proxy.ask()).status_code == 200
        proxy.write(TOML + '[server]\napi_keys = { me = "secret" }\n')
        await proxy.changed()
        assert (await proxy.ask()).status_code == 401
        assert (await proxy.ask(authorization="Bearer secret")).status_code == 200


async def test_counts_survive(tmp_path: Path) -> None:
    """The requests that a key has made in this minute still count when the configuration changes."""
    keys = '[server]\napi_keys = { me = { key = "secret", requests_per_minute = 2 } }\n'
    async with LiveProxy(tmp_path, TOML + keys).serving() as proxy:
        for _ in range(2):
            assert (await proxy.ask(authorization="Bearer secret")).status_code == 200
        proxy.write(SECOND + keys)
        await proxy.changed()
        assert (await proxy.ask(authorization="Bearer secret")).status_code == 429


async def test_a_reload_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload on demand reads everything again, even what no file shows, such as the environment."""
    monkeypatch.setenv("SOME_KEY", "first")
    async with LiveProxy(
        tmp_path, TOML + '[server]\napi_keys = { me = "env:SOME_KEY" }\n'
    ).serving() as proxy:
        assert (await proxy.ask(authorization="Bearer first")).status_code == 200
        monkeypatch.setenv("SOME_KEY", "second")
        proxy.live.reload_soon()
        await proxy.changed()
        assert (await proxy.ask(authorization="Bearer first")).status_code == 401
        assert (await proxy.ask(authorization="Bearer second")).status_code == 200


async def test_an_upstreams_key_is_live(tmp_path: Path) -> None:
    """An upstream's key and headers in files are sent with their new values; equal values change nothing."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    for name in ("key", "word"):
        (tmp_path / name).write_text(f"first-{name}")
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as upstream:
        port = upstream.sockets[0].getsockname()[1]
        toml = f"""
[models]
echo = "up/one"

[backends.up]
type = "openai"
base_url = "http://127.0.0.1:{port}"
api_key = "file:{tmp_path}/key"
headers = {{ x-word = "file:{tmp_path}/word" }}
"""
        async with LiveProxy(tmp_path, toml).serving() as proxy:
            for name, sent in (("key", b"Bearer first-key"), ("word", b"first-word")):
                await proxy.ask()
                assert sent in heads[-1]
                before = proxy.live.runtime.backends["up"]
                (tmp_path / name).write_text(f"second-{name}")
                await proxy.changed()
                assert proxy.live.runtime.backends["up"] is not before
                await proxy.ask()
                assert sent.replace(b"first", b"second") in heads[-1]
            before = proxy.live.runtime.backends["up"]
            (tmp_path / "key").write_text("second-key")
            await proxy.changed()
            assert proxy.live.runtime.backends["up"] is before


def test_a_broken_file_at_the_start(tmp_path: Path) -> None:
    """A proxy does not start with an invalid configuration."""
    with pytest.raises(ConfigError, match="unknown key 'prot'"):
        LiveProxy(tmp_path, TOML + "[server]\nprot = 1\n")


# --- plugins


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
