"""One replica: the program as a process of its own, at one port, which can be killed and drained."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx

from tests.cluster.counting import Kill
from tests.haproxy import free_port


_START_TIMEOUT, _STOP_TIMEOUT = 60.0, 60.0
_INHERITED = ("PATH", "LANG", "PYTHONPATH")


class Replica:
    """One replica, called ``name``; ``killed`` is when it was, the last time."""

    def __init__(self, name: str, folder: Path, toml: str, environment: dict[str, str]) -> None:
        """Prepare to run it in a folder of its own, with this configuration and these variables."""
        self.name = name
        self.port = free_port()
        self.killed = Kill(name, 0.0, 0.0)
        self._home = folder / name
        self._home.mkdir(mode=0o700)
        (self._home / "proxy.toml").write_text(toml, "utf-8")
        (self._home / "proxy.toml").chmod(0o600)
        own = {"HOME": str(self._home), "TMPDIR": str(self._home)}
        inherited = {one: os.environ[one] for one in _INHERITED if one in os.environ}
        self._environment = {**inherited, **own, **environment}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def place(self) -> str:
        """Where HAProxy finds it."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return (self._home / "log").read_text("utf-8", "replace")

    async def start(self) -> None:
        """Start it, and wait until it takes requests."""
        command = [sys.executable, "-m", "claude_max_proxy", "serve", "--config", "proxy.toml"]
        with (self._home / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(*command, "--port", str(self.port)),
                cwd=self._home,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # Ctrl-C is ours, and we end it then
            )
        async with asyncio.timeout(_START_TIMEOUT), httpx.AsyncClient(trust_env=False) as http:
            while not await self._is_ready(http):
                if self._process.returncode is not None:
                    raise RuntimeError(f"{self.name} ended by itself:\n{self.log[-3000:]}")
                await asyncio.sleep(0.1)

    async def _is_ready(self, http: httpx.AsyncClient) -> bool:
        try:
            return (await http.get(f"http://{self.place}/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    async def kill(self) -> None:
        """Kill it, as a lack of memory does."""
        assert self._process is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._process.kill()
        await self._process.wait()
        self.killed = Kill(self.name, began, loop.time())

    async def drain(self) -> int:
        """Tell it to stop, and return the status with which it ends."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT)

    async def end(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
