"""A served proxy with ``[shared]``: its health, its requests and its reloads, also without the database."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from tests.postgresql import PostgreSQL
from tests.server.live_proxy import TOML, LiveProxy
from tests.shared.test_foundation import until


pytestmark = pytest.mark.postgres


def toml(url: str, more: str = "") -> str:
    """Return a configuration that shares."""
    return f'[shared]\nurl = "{url}"\n{more}\n{TOML}'


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
