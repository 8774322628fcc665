"""One replica: the program as a process of its own, at one port, which can be killed and drained."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.cluster.counting import Kill
from tests.haproxy import free_port


_START_TIMEOUT, _STOP_TIMEOUT = 60.0, 60.0
_GET_TIMEOUT = 30.0
_GET = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=10).read().decode())"
_INHERITED = ("PATH", "LANG", "PYTHONPATH")


class Replica:
    """One replica, called ``name``; ``killed`` is when it was, the last time."""

    def __init__(
        self,
        name: str,
        folder: Path,
        toml: str,
        environment: dict[str, str],
        *,
        inside: Sequence[str] = (),
        address: str = "",
    ) -> None:
        """Prepare to run it in a folder of its own, with this configuration and these variables.

        With an ``address``, it runs in a network namespace: ``inside`` leads there.
        """
        self.name = name
        self.port = 3456 if address else free_port()
        self._inside, self._address = list(inside), address
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
        return f"{self._address or '127.0.0.1'}:{self.port}"

    @property
    def log(self) -> str:
        """Everything that it has printed."""
        return (self._home / "log").read_text("utf-8", "replace")

    async def start(self) -> None:
        """Start it, and wait until it takes requests."""
        command = [*self._inside, sys.executable, "-m", "claude_max_proxy", "serve", "--config", "proxy.toml"]
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
        async with asyncio.timeout(_START_TIMEOUT):
            while not await self.get("/health/ready"):
                if self._process.returncode is not None:
                    raise RuntimeError(f"{self.name} ended by itself:\n{self.log[-3000:]}")
                await asyncio.sleep(0.1)

    async def get(self, path: str) -> str:
        """Return what it answers to a client on its own machine; empty if that is an error, or nothing."""
        url = f"http://127.0.0.1:{self.port}{path}"
        if not self._inside:
            async with httpx.AsyncClient(trust_env=False) as http:
                with contextlib.suppress(httpx.TransportError):
                    answer = await http.get(url)
                    return answer.text if answer.status_code == 200 else ""
            return ""
        asking = await asyncio.create_subprocess_exec(
            *(*self._inside, sys.executable, "-c", _GET, url),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        said, _ = await asyncio.wait_for(asking.communicate(), _GET_TIMEOUT)
        return said.decode() if asking.returncode == 0 else ""

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
