"""``claude-max-proxy status`` with a real proxy, however it listens, and without one."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from pathlib import Path

import pytest

from tests.cli.serving_process import ask, serving
from tests.cli.test_serving import self_signed


pytestmark = pytest.mark.slow

METERED = """
import time
import claude_max_proxy as proxy

class Metered(proxy.Backend):
    async def answer(self, request, model):
        yield proxy.Started(model)
        yield proxy.Finished("stop")

    def windows(self):
        now = time.time()
        return [proxy.PlanWindow("five_hour", 0.91, "warning", now + 3600, now, 18000.0)]

@proxy.hookimpl
def register_backends(register):
    register("metered", proxy.Settings, lambda name, settings: Metered())
"""
MORE = '[backends.plan]\ntype = "metered"\n'


async def status(folder: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    """Run the command in a folder; return its exit status and what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "claude_max_proxy", "status", *words),
        cwd=folder,
        env={"PATH": "", "HOME": str(folder), "LANG": "C.UTF-8", **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode or 0, out.decode(), err.decode()


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def test_a_running_proxy(tmp_path: Path) -> None:
    """The screen has the windows, and no colour where it is not a terminal; JSON has the same."""
    async with serving(tmp_path, MORE, metered=METERED) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        port = url.removesuffix("/v1").rpartition(":")[2]
        assert (await ask(url)).status_code == 200
        code, screen, problem = await status(tmp_path, "--port", port)
        assert (code, problem) == (0, "")
        assert "five-hour window" in screen
        assert "91 %" in screen
        assert "\x1b" not in screen
        code, printed, _ = await status(tmp_path, "--port", port, "--json")
        assert json.loads(printed)["windows"]["plan"][0]["used"] == 0.91


@pytest.mark.parametrize("how", ["key", "tls", "unix"])
async def test_however_it_listens(how: str, tmp_path: Path) -> None:
    """The command reads from proxy.toml where to ask, with which certificate, and with which key."""
    port = free_port()
    toml = f"[server]\nport = {port}\n"
    if how == "unix":
        toml += f'unix_socket = "{tmp_path}/proxy.sock"\n'
    if how == "tls":
        certificate, key = self_signed(tmp_path)
        key.chmod(0o600)
        toml += f'tls_certificate = "{certificate}"\ntls_key = "{key}"\n'
    if how == "key":
        toml += 'api_keys.me = "secret-1"\napi_keys.boss = { key = "secret-2", admin = true }\n'
    async with serving(tmp_path, toml, port=port) as proxy:
        await proxy.says(r"address\s+(\S+)")
        code, screen, problem = await status(tmp_path)
        assert (code, problem) == (0, "")
        assert "Requests under way" in screen


async def test_without_a_proxy(tmp_path: Path) -> None:
    """Where no proxy runs, the command says so and how to start one, and fails."""
    port = str(free_port())
    code, screen, problem = await status(tmp_path, "--port", port)
    assert (code, screen) == (1, "")
    assert problem.strip() == (
        f"No proxy is running at http://127.0.0.1:{port}. To start one: claude-max-proxy serve"
    )
    code, printed, _ = await status(tmp_path, "--port", port, "--json")
    assert (code, json.loads(printed)["running"]) == (1, False)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[server]\napi_keys.me = "secret-1"\n', "none has `admin = true`"),
        ("[plugins.meter]\nenabled = false\n", "the plugin meter is switched off"),
    ],
)
async def test_what_is_missing(toml: str, words: str, tmp_path: Path) -> None:
    """Where the state cannot be shown, the command says what is missing."""
    async with serving(tmp_path, toml) as proxy:
        port = (await proxy.says(r"address\s+(\S+)/v1")).rpartition(":")[2]
        code, _, problem = await status(tmp_path, "--port", port)
        assert code != 0
        assert words in problem


async def test_watching(tmp_path: Path) -> None:
    """With --watch it goes on, also while no proxy runs, until Ctrl-C."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "claude_max_proxy", "status", "--watch", "--port", str(free_port())),
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(2):
        assert b"No proxy is running" in await asyncio.wait_for(process.stdout.readline(), 20)
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 10) == 0
