"""Hot reload: what is saved is live soon, without losing a request; what is broken changes nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from tests.scripted import SILENCE
from tests.server.exchange import Exchange, chat, running
from tests.server.live_proxy import TOML, USUAL, LiveProxy


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
    """What a plugin heard."""
    return next(plugin.module.heard for plugin in proxy.live.runtime.plugins if plugin.name == name)


# --- proxy.toml


async def test_a_new_model_is_live(tmp_path: Path) -> None:
    """A model that is added to ``proxy.toml`` can be asked for within about a second."""
    async with LiveProxy(tmp_path, poll=USUAL).serving() as proxy:
        assert (await proxy.ask("other")).status_code == 404
        began = time.monotonic()
        proxy.write(SECOND)
        await proxy.changed()
        assert time.monotonic() - began < 1.5
        assert (await proxy.ask("other")).status_code == 200
        assert "other" in [row["id"] for row in (await proxy.http.get("/v1/models")).json()["data"]]


async def test_a_request_keeps_its_configuration(tmp_path: Path) -> None:
    """A request that is being answered finishes by the configuration it came in under."""
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.backend
        before.script[3:3] = [1.0]
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
    """A backend whose table did not change goes on as it is, neither started nor stopped again."""
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.backend
        proxy.write(SECOND)
        await proxy.changed()
        assert proxy.backend is before
        await asyncio.sleep(0.1)
        assert before.calls == ["start"]
    assert before.calls == ["start", "stop"]


async def test_a_removed_backend_is_stopped(tmp_path: Path) -> None:
    """A backend that is not configured any more is stopped once nobody waits for it; a new one is started."""
    second = '[backends.second]\ntype = "scripted"\n'
    async with LiveProxy(tmp_path, second + TOML).serving() as proxy:
        removed = proxy.live.runtime.backends["second"]
        proxy.write(second.replace("second", "third") + TOML)
        await proxy.changed()
        await proxy.until(lambda: removed.calls == ["start", "stop"])
        assert proxy.live.runtime.backends["third"].calls == ["start"]
        assert proxy.backend.calls == ["start"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("[models\n", "is not valid TOML"),
        (TOML + "[server]\nprot = 1\n", "server: unknown key 'prot'; did you mean 'port'?"),
        (TOML + 'wrong = "cloude/x"\n', "models.wrong: there is no backend 'cloude'"),
        ('[plugins]\npaths = ["nowhere"]\n' + TOML, "unknown backend type 'scripted'"),
        (TOML + '[server]\napi_keys = { a = "env:NOT_SET_AT_ALL" }\n', "'NOT_SET_AT_ALL' is not set"),
        (TOML + '[server]\nallowed_origins = ["*"]\n', "server.allowed_origins: '*' is no origin"),
    ],
)
async def test_a_broken_file_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str, message: str
) -> None:
    """With a broken file everything goes on as it was; the log and ``/health`` say where it is broken."""
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.live.runtime
        proxy.write(broken)
        await proxy.until(lambda: before.problem)
        assert proxy.live.runtime is before
        assert message in (await proxy.health())["config_problem"]
        assert (await proxy.ask()).status_code == 200
        await asyncio.sleep(0.3)
        assert caplog.text.count(message) == 1  # it is told once, not at every look
        proxy.write(SECOND)
        await proxy.changed()
        assert "config_problem" not in await proxy.health()


async def test_a_backend_that_cannot_start(tmp_path: Path) -> None:
    """A configuration whose backend fails to start, whatever it raises, is not put in force."""
    failing = """
from claude_max_proxy import Settings, hookimpl

class Failing:
    def __init__(self, name, settings): ...
    async def start(self):
        raise OSError("no such device")
    async def stop(self): ...

@hookimpl
def register_backends(register):
    register("failing", Settings, Failing)
"""
    async with LiveProxy(tmp_path, failing=failing).serving() as proxy:
        before = proxy.live.runtime
        proxy.write('[backends.new]\ntype = "failing"\n' + TOML)
        await proxy.until(lambda: before.problem)
        assert "no such device" in before.problem
        assert before.backends["claude"].calls == ["start"]
        proxy.write(SECOND)
        await proxy.changed()
        assert (await proxy.ask("other")).status_code == 200


async def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """A deleted ``proxy.toml`` changes nothing; written again, it is live."""
    async with LiveProxy(tmp_path).serving() as proxy:
        before = proxy.live.runtime
        proxy.file.unlink()
        await proxy.until(lambda: before.problem)
        assert (await proxy.ask()).status_code == 200
        proxy.write(SECOND)
        await proxy.changed()
        assert (await proxy.ask("other")).status_code == 200


async def test_a_file_that_is_being_written(tmp_path: Path) -> None:
    """A file is read when its writer is done: one that is cut short for a moment is never in force."""
    async with LiveProxy(tmp_path, poll=USUAL).serving() as proxy:
        before = proxy.live.runtime
        for _ in range(20):
            proxy.write("")
            await asyncio.sleep(0.03)
            proxy.write(SECOND)
            await asyncio.sleep(0.03)
        assert proxy.live.runtime is before
        await proxy.changed()
        assert "other" in proxy.live.runtime.config.models


async def test_what_is_fixed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A change of what cannot change while the process runs is told, and the rest is live."""
    async with LiveProxy(tmp_path).serving() as proxy:
        proxy.write(SECOND + '[server]\nport = 9999\nhost = "127.0.0.2"\nhold = 1.0\n')
        await proxy.changed()
        server = proxy.live.runtime.config.server
        assert (server.port, server.host, server.hold) == (3456, "127.0.0.1", 1.0)
    for name in ("port", "host"):
        assert f"server.{name} changes when the proxy is started again, not before" in caplog.text


async def test_keys_stay_where_others_can_reach(tmp_path: Path) -> None:
    """Keys cannot be taken away while the server listens off loopback, whatever the file says of its host."""
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
    """What a key has used up of its minute stays used up when the configuration changes."""
    keys = '[server]\napi_keys = { me = { key = "secret", requests_per_minute = 2 } }\n'
    async with LiveProxy(tmp_path, TOML + keys).serving() as proxy:
        for _ in range(2):
            assert (await proxy.ask(authorization="Bearer secret")).status_code == 200
        proxy.write(SECOND + keys)
        await proxy.changed()
        assert (await proxy.ask(authorization="Bearer secret")).status_code == 429


async def test_a_reload_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload that is asked for reads everything anew, also what no file shows, such as the environment."""
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


def test_a_broken_file_at_the_start(tmp_path: Path) -> None:
    """A proxy does not start with a configuration that cannot be."""
    with pytest.raises(ConfigError, match="unknown key 'prot'"):
        LiveProxy(tmp_path, TOML + "[server]\nprot = 1\n")


# --- plugins


async def test_a_plugin_comes_and_goes(tmp_path: Path) -> None:
    """A file that is new in the folder, changed, or deleted is live within about a second."""
    async with LiveProxy(tmp_path, poll=USUAL).serving() as proxy:
        for source, system in ((HOOK, "A"), (HOOK.replace('"A"', '"B"'), "B"), (None, "")):
            began = time.monotonic()
            if source is None:
                (proxy.plugins / "plugin.py").unlink()
            else:
                proxy.plugin("plugin", source)
            await proxy.changed()
            assert time.monotonic() - began < 1.5
            await proxy.ask()
            assert proxy.backend.asked[-1][0].system == system


async def test_a_plugin_that_breaks(tmp_path: Path) -> None:
    """A broken change leaves the last good version running, and ``/health`` says file and line."""
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
    """A new file that cannot be used stops nobody, and is told."""
    async with LiveProxy(tmp_path).serving() as proxy:
        proxy.plugin("broken", "import nothing_of_that_name\n")
        await proxy.changed()
        assert "nothing_of_that_name" in (await proxy.health())["plugin_problems"]["broken"]
        assert (await proxy.ask()).status_code == 200


async def test_a_plugin_others_could_write(tmp_path: Path) -> None:
    """A file that somebody else could write to is not run, and everything stays as it was."""
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
    """A plugin whose file did not change goes on as the same module, with all it holds."""
    async with LiveProxy(tmp_path, plugin=HOOK).serving() as proxy:
        before = heard(proxy)
        proxy.write(SECOND)
        await proxy.changed()
        await proxy.until(lambda: len(before) == 2)
        assert heard(proxy) is before


async def test_what_a_plugin_hears(tmp_path: Path) -> None:
    """``configured`` tells the start and each change, ``shutdown`` the end, each once and in its place."""
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
    """A plugin's old version hears ``shutdown`` when the new one took over and its last request ended."""
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
    """What two configurations share ends once, also when the proxy stops while the older still answers."""
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


async def test_reloading_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says when another configuration is in force."""
    with caplog.at_level(logging.INFO):
        async with LiveProxy(tmp_path).serving() as proxy:
            proxy.write(SECOND)
            await proxy.changed()
            await proxy.until(lambda: "the configuration is reloaded" in caplog.text)
