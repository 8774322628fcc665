"""Plugins that try to end the proxy's process or to keep it running: it answers, and ends when told to."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.serving_process import CHAT, ECHO, ask, serving, write


pytestmark = pytest.mark.slow
HEAD = "import asyncio, os, signal, sys, threading, time\nfrom claude_max_proxy import hookimpl\n"
IN_THE_LOOP = """
@hookimpl
def rewrite_request(request):
    asyncio.get_running_loop().call_soon(stop)

def stop():
    {}
"""
IN_A_TASK = """
@hookimpl
def rewrite_request(request):
    global task
    task = asyncio.get_running_loop().create_task(stop())

async def stop():
    {}
"""
ENDING = {
    "stop": (IN_THE_LOOP.format("asyncio.get_running_loop().stop()"), "something stopped the event loop"),
    "exit-callback": (IN_THE_LOOP.format("sys.exit(3)"), r"tried to end the proxy.*SystemExit\(3\)"),
    "exit-task": (IN_A_TASK.format("sys.exit(3)"), r"tried to end the proxy.*SystemExit\(3\)"),
    "interrupt": (
        IN_A_TASK.format("raise KeyboardInterrupt"),
        "tried to end the proxy.*KeyboardInterrupt",
    ),
}
KEEPING = {
    "thread": """
threading.Thread(target=time.sleep, args=(3600,), name="never-ends").start()
""",
    "executor": """
@hookimpl
def rewrite_request(request):
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
""",
    "task": IN_A_TASK.format(
        """
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass
"""
    ),
    "hook": """
@hookimpl
async def shutdown():
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass
""",
    "shutdown": """
@hookimpl
def shutdown():
    raise SystemExit(3)
""",
}
TAKING = {
    "ignored": "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "handled": "signal.signal(signal.SIGTERM, print)",
    "by-the-loop": "asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)",
}
TOML = "[plugins.bad]\ntimeout = 1.0\n"


def plugin(folder: Path, source: str) -> None:
    """Put a plugin into the plugins folder of a proxy that has not been started yet."""
    write(folder)
    file = folder / "plugins" / "bad.py"
    file.write_text(HEAD + source)
    file.chmod(0o600)


@pytest.mark.parametrize("name", ENDING)
async def test_what_would_end_it(tmp_path: Path, name: str) -> None:
    """A plugin that stops the event loop, by whatever means, is reported, and every request is answered."""
    source, told = ENDING[name]
    plugin(tmp_path, source)
    async with serving(tmp_path, TOML) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        for _ in range(5):
            assert (await ask(url)).status_code == 200
        await proxy.says(told)
        assert "bad.py" in proxy.said
        assert await proxy.stop() == 0


@pytest.mark.parametrize("name", KEEPING)
async def test_what_would_keep_it(tmp_path: Path, name: str) -> None:
    """Whatever code of a plugin still runs, the process ends within seconds of its signal, in order."""
    plugin(tmp_path, KEEPING[name])
    async with serving(tmp_path, TOML) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        assert (await ask(url)).status_code == 200
        began = time.monotonic()
        assert await proxy.stop() == 0
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("name", TAKING)
async def test_what_takes_its_signals(tmp_path: Path, name: str) -> None:
    """A plugin that replaces the handlers of the signals that end the proxy does not keep them for long."""
    plugin(tmp_path, f"@hookimpl\ndef rewrite_request(request):\n    {TAKING[name]}\n")
    async with serving(tmp_path, TOML) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        assert (await ask(url)).status_code == 200
        await proxy.says("something took SIGTERM from the proxy, which took it back")
        assert await proxy.stop() == 0


async def test_what_holds_it_up(tmp_path: Path) -> None:
    """A plugin that blocks the event loop forever cannot keep the process from ending, and is named."""
    plugin(tmp_path, "@hookimpl\ndef rewrite_request(request):\n    time.sleep(3600)\n")
    async with serving(tmp_path, TOML) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        asking = asyncio.get_running_loop().create_task(ask(url))
        await proxy.says("plugin 'bad' has held everything up")
        began = time.monotonic()
        assert await proxy.stop() == 1
        assert time.monotonic() - began < 19
        assert 'bad.py", line 5, in rewrite_request' in proxy.said
        with pytest.raises(Exception):  # noqa: B017, PT011  # however the connection ends
            await asking


async def test_what_holds_up_its_end(tmp_path: Path) -> None:
    """A plugin that blocks the event loop forever while the proxy ends is named, and the proxy ends."""
    plugin(tmp_path, "@hookimpl\ndef shutdown():\n    time.sleep(3600)\n")
    async with serving(tmp_path, TOML) as proxy:
        await proxy.says(r"address\s+(\S+)")
        assert await proxy.stop() == 1
        assert "plugin 'bad' has held everything up" in proxy.said


@pytest.mark.skipif(os.name != "posix", reason="there are no FIFOs")
async def test_a_fifo(tmp_path: Path) -> None:
    """A FIFO in the plugins folder is reported by name, at the start and later, and prevents no reload."""
    write(tmp_path)
    os.mkfifo(tmp_path / "plugins" / "early.py", 0o600)
    async with serving(tmp_path) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        await proxy.says(r"early\.py: the plugin cannot be read: it is a FIFO, not a regular file")
        os.mkfifo(tmp_path / "plugins" / "late.py", 0o600)
        await proxy.says(r"late\.py: the plugin cannot be read: it is a FIFO, not a regular file")
        await proxy.says("the configuration is reloaded")
        assert (await ask(url)).status_code == 200
        assert await proxy.stop(signal.SIGINT) == 0


HOARDER = """
import resource

files = []

@hookimpl
def rewrite_request(request):
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    hoard(time.monotonic() + 3)

def hoard(until):
    try:
        while True:
            files.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    if time.monotonic() < until:
        asyncio.get_running_loop().call_later(0.05, hoard, until)
    while files and time.monotonic() >= until:
        os.close(files.pop())
"""


@pytest.mark.skipif(os.name != "posix", reason="there are no such limits")
async def test_too_many_open_files(tmp_path: Path) -> None:
    """A plugin that opens as many files as the system allows does not end any of our tasks permanently."""
    plugin(tmp_path, HOARDER)
    async with serving(tmp_path, TOML) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        await ask(url)
        await proxy.says("the task 'watch-configuration' ended .*Too many open files")
        (tmp_path / "plugins" / "bad.py").write_text("")
        (tmp_path / "proxy.toml").write_text(ECHO + 'other = "claude/two"\n')
        await proxy.says("the configuration is reloaded")
        async with httpx.AsyncClient() as http:
            told = (await http.get(url.removesuffix("/v1") + "/health")).json()["task_problems"]
        assert "Too many open files" in told["watch-configuration"]
        assert (await ask(url)).status_code == 200
        assert await proxy.stop() == 0


STUBBORN = """
@hookimpl
async def wrap_events(events):
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass
    yield
"""


async def test_an_iterator_that_ignores_its_cancellation(tmp_path: Path) -> None:
    """If the client disconnects, an iterator that does not end is abandoned; the process can still end."""
    plugin(tmp_path, STUBBORN)
    async with serving(tmp_path, TOML) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        async with httpx.AsyncClient(timeout=0.5) as http:
            with pytest.raises(httpx.ReadTimeout):
                await http.post(f"{url}/chat/completions", json={**CHAT, "stream": True})
        await proxy.says("ignores its cancellation, and is left behind")
        assert await proxy.stop() == 0
