"""A proxy as a separate process, as a user starts it, with the echo drop-in as a model."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx


ROOT = Path(__file__).parents[2]
ECHO = """
backends.claude = { type = "echo" }

[models]
echo = "claude/one"
"""
CHAT = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}


class Serving:
    """The process, what it prints, and a client for it."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.folder = folder
        self.process = process
        self.said = ""
        self._heard = asyncio.Event()

    async def listen(self, *streams: asyncio.StreamReader | None) -> None:
        """Keep what it prints."""

        async def keep(stream: asyncio.StreamReader) -> None:
            async for line in stream:
                self.said += line.decode()
                self._heard.set()

        await asyncio.gather(*(keep(stream) for stream in streams if stream))

    async def says(self, pattern: str) -> str:
        """Wait until it prints something that matches, and return the first group."""
        async with asyncio.timeout(20):
            while not (match := re.search(pattern, self.said)):
                assert self.process.returncode is None, self.said
                self._heard.clear()
                await self._heard.wait()
        return match[1] if match.re.groups else match[0]

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End the process, and return its status."""
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 20)


def write(folder: Path, toml: str = "", **sources: str) -> Path:
    """Make a folder with a ``proxy.toml``, the echo, and further plugins."""
    plugins = folder / "plugins"
    plugins.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(ROOT / "plugins" / "echo_backend.py", plugins / "echo_backend.py")
    (plugins / "echo_backend.py").chmod(0o600)
    for name, source in sources.items():
        (plugins / f"{name}.py").write_text(source)
        (plugins / f"{name}.py").chmod(0o600)
    file = folder / "proxy.toml"
    file.write_text(ECHO + toml)
    return file


@asynccontextmanager
async def serving(
    folder: Path,
    toml: str = "",
    *words: str,
    port: int = 0,
    descriptors: int = 0,
    environment: Mapping[str, str] = MappingProxyType({}),
    stderr: int = asyncio.subprocess.PIPE,
    program: Sequence[str] = (),
    plugins: Mapping[str, str] = MappingProxyType({}),
    **sources: str,
) -> AsyncIterator[Serving]:
    """Run ``claude-max-proxy serve`` in a folder, on a free port unless one is given, or another ``program``.

    ``descriptors`` is what the system allows it; ``plugins`` and ``sources`` are further plugins by name.
    """
    write(folder, toml, **plugins, **sources)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    usual = (sys.executable, "-m", "claude_max_proxy", "serve", "--port", str(port))
    process = await asyncio.create_subprocess_exec(
        *(program or usual),
        *words,
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        preexec_fn=limit if descriptors else None,
    )
    running = Serving(folder, process)
    listening = asyncio.get_running_loop().create_task(running.listen(process.stdout, process.stderr))
    try:
        await running.says(r"address\s+\S+")
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await listening


async def ask(url: str, *, key: str = "", uds: Path | None = None, verify: Any = True) -> httpx.Response:
    """Ask for a chat over TCP or a Unix socket, with a key if there is one."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    transport = httpx.AsyncHTTPTransport(uds=str(uds) if uds else None, verify=verify)
    async with httpx.AsyncClient(transport=transport, timeout=20) as http:
        return await http.post(f"{url}/chat/completions", json=CHAT, headers=headers)


def trusting(certificate: Path) -> ssl.SSLContext:
    """Return a client's side of TLS that trusts one certificate."""
    return ssl.create_default_context(cafile=str(certificate))
