"""The two proxies: each a program of its own, with a home of its own and the same CLI."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from benchmarks.machine import wait_until_quiet


PEER = "claude-max-api-proxy"
PEER_VERSION = "1.0.0"
_ROOT = Path(__file__).resolve().parent.parent
_START_TIMEOUT = 60.0


class Side:
    """One proxy, from ``with`` to its end."""

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        """Prepare to run ``command`` plus a port, in a home below ``folder``."""
        self.name = name
        self.home = folder / name
        self._command = command
        self._environment = environment
        self._warm = 0

    def __enter__(self) -> Self:
        """Start it and wait until it serves."""
        self.home.mkdir()
        port = _free_port()
        self._process = subprocess.Popen(
            [*self._command, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**self._environment, "HOME": str(self.home)},
            cwd=self.home,
            start_new_session=True,
        )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)
        self._wait_until_it_serves()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it and everything it started."""
        self.client.close()
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        """The proxy's own process."""
        return self._process.pid

    def rest(self) -> None:
        """Wait until it is as ready as it was at the start: warm where it warms, and quiet."""
        deadline = time.monotonic() + _START_TIMEOUT
        while self._warm_now() < self._warm and time.monotonic() < deadline:
            time.sleep(0.05)  # noqa: TID251
        wait_until_quiet(self.pid)

    def _wait_until_it_serves(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            with suppress(httpx.TransportError):
                if self.client.get("/health").json()["status"] == "ok":
                    break
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"{self.name} did not start")
            time.sleep(0.1)  # noqa: TID251
        time.sleep(6.0)  # noqa: TID251  # a pool that is still filling gets the time for it
        self._warm = self._warm_now()
        self.rest()

    def _warm_now(self) -> int:
        backends = self.client.get("/health").json().get("backends", {})
        return sum(facts["processes"]["warm"] for facts in backends.values())


def ours(folder: Path, environment: dict[str, str]) -> Side:
    """Give this proxy, as it is without a ``proxy.toml``."""
    command = [sys.executable, "-m", "claude_max_proxy", "serve", "--port"]
    return Side("claude-max-proxy", command, folder, environment)


def peer(folder: Path, environment: dict[str, str]) -> Side:
    """Give the npm tool, installed into ``.cache/peer`` on first use."""
    prefix = _ROOT / ".cache" / "peer"
    script = prefix / "node_modules" / PEER / "dist" / "server" / "standalone.js"
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise RuntimeError("the benchmark needs Node and npm, which the other proxy is made for")
    if not script.exists():
        print(f"installing {PEER}@{PEER_VERSION} into .cache/peer")
        prefix.mkdir(parents=True, exist_ok=True)
        arguments = ["install", "--no-audit", "--no-fund", "--prefix", str(prefix)]
        subprocess.run([npm, *arguments, f"{PEER}@{PEER_VERSION}"], check=True, stdout=subprocess.DEVNULL)
    return Side(PEER, [node, str(script)], folder, environment)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
