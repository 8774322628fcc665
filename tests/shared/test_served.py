"""A served proxy with ``[shared]``: its health, its requests and its reloads, also without the database."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest

from claude_max_proxy.errors import ConfigError
from tests.postgresql import PostgreSQL
from tests.server.live_proxy import TOML, LiveProxy
from tests.shared.keys import KEY
from tests.shared.test_foundation import until


pytestmark = pytest.mark.postgres


def toml(url: str, more: str = "") -> str:
    """Return a configuration that shares."""
    return f'[shared]\nurl = "{url}"\nencryption_key = "{KEY}"\n{more}\n{TOML}'


async def test_the_database_goes_and_comes_back(tmp_path: Path, server: PostgreSQL, url: str) -> None:
    """Requests are answered while the database is away, ``/health`` says so, and all recovers by itself."""
    async with LiveProxy(tmp_path, toml(url)).serving() as proxy:
        shared = proxy.live.runtime.shared
        assert shared is not None
        await until(lambda: shared.health()["status"] == "ok")
        assert (await proxy.health())["shared"]["status"] == "ok"
        await asyncio.to_thread(server.stop)
        try:
            await until(lambda: shared.health()["status"] == "degraded")
            assert (await proxy.ask()).status_code == 200
            health = await proxy.health()
            assert (health["status"], health["shared"]["status"]) == ("degraded", "degraded")
            assert (await proxy.http.get("/health/ready")).status_code == 200
        finally:
            await asyncio.to_thread(server.start)
        await until(lambda: shared.health()["status"] == "ok")
        assert (await proxy.health())["status"] == "ok"


async def test_a_change_waits_for_a_restart(
    tmp_path: Path, url: str, server: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    """A live change of ``[shared]`` is not taken, and the log says that it waits for a restart."""
    caplog.set_level(logging.INFO)
    async with LiveProxy(tmp_path, toml(url)).serving() as proxy:
        shared = proxy.live.runtime.shared
        proxy.write(toml(server.new_database()))
        await until(lambda: "waiting for a restart: shared.url" in caplog.text)
        assert proxy.live.runtime.shared is shared


async def test_a_new_secret_waits_for_a_restart(
    tmp_path: Path, url: str, server: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    """The same holds for another URL in the file that ``[shared]`` names."""
    caplog.set_level(logging.INFO)
    file = tmp_path / "url"
    file.write_text(url)
    file.chmod(0o600)
    async with LiveProxy(tmp_path, toml(f"file:{file}")).serving():
        file.write_text(server.new_database())
        await until(lambda: "waiting for a restart: shared.url" in caplog.text)


async def test_responses_on_any_replica(tmp_path: Path, url: str) -> None:
    """A response of one replica goes on at another, is retrieved and deleted there, by its key alone."""
    keys = 'server.api_keys = { me = "key-of-me", you = "key-of-you" }\n'
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    proxies = [LiveProxy(folder, keys + toml(url)) for folder in folders]
    me, you = ({"authorization": f"Bearer key-of-{name}"} for name in ("me", "you"))
    async with proxies[0].serving() as one, proxies[1].serving() as two:
        asked = {"model": "echo", "input": "one"}
        first = (await one.http.post("/v1/responses", json=asked, headers=me)).json()
        stream = {**asked, "stream": True, "previous_response_id": first["id"]}
        streamed = (await two.http.post("/v1/responses", json=stream, headers=me)).text
        assert "response.completed" in streamed
        second = re.findall(r"resp_\w+", streamed)[0]
        assert len(two.backend.asked[-1][0].messages) == 3
        for id_ in (first["id"], second):
            assert (await one.http.get(f"/v1/responses/{id_}", headers=you)).status_code == 404
            assert (await one.http.get(f"/v1/responses/{id_}", headers=me)).status_code == 200
        assert (await two.http.delete(f"/v1/responses/{first['id']}", headers=me)).status_code == 200
        assert (await one.http.get(f"/v1/responses/{first['id']}", headers=me)).status_code == 404


def test_needs_a_key_to_seal_with(tmp_path: Path) -> None:
    """A URL without a key is refused by name, unless no responses are stored."""
    without = f'[shared]\nurl = "postgresql://host/name"\n{TOML}'
    with pytest.raises(ConfigError, match="encryption_key"):
        LiveProxy(tmp_path, without)
    off = tmp_path / "off"
    off.mkdir()
    LiveProxy(off, f"plugins.openai_responses.store = false\n{without}")
