"""A configuration that changes: what is new is live, what is wrong changes nothing."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy import ConfigError
from tests.server.exchange import Exchange, chat, running
from tests.server.live_proxy import SECOND, TOML, LiveProxy


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
