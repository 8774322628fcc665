"""The two proxies: each a program of its own, with a home of its own and the same CLI."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from benchmarks.machine import wait_until_quiet
from benchmarks.program import Program
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings


PEER = "claude-max-api-proxy"
PEER_VERSION = "1.0.0"
_ROOT = Path(__file__).resolve().parent.parent.parent
_WARM_TIMEOUT = 60.0


class Side(Program):
    """One proxy with its CLI."""

    warm = 0
    """How many processes it keeps ready."""

    def __enter__(self) -> Self:
        """Start it and wait until it is warm."""
        super().__enter__()
        self.rest()
        return self

    def rest(self) -> None:
        """Wait until it is as ready as it can be: warm where it warms, and quiet.

        Raises :class:`RuntimeError` when it never is.
        """
        deadline = time.monotonic() + _WARM_TIMEOUT
        while self._warm_now() < self.warm:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} had no {self.warm} warm processes for {_WARM_TIMEOUT:g} s")
            time.sleep(0.05)  # noqa: TID251
        wait_until_quiet(self.pid)

    def _warm_now(self) -> int:
        backends = self.client.get("/health").json().get("backends", {})
        return sum(facts["processes"]["warm"] for facts in backends.values())


def ours(folder: Path, environment: dict[str, str]) -> Side:
    """Give this proxy, as it is without a ``proxy.toml``."""
    command = [sys.executable, "-m", "claude_max_proxy", "serve", "--port"]
    side = Side("claude-max-proxy", command, folder, environment)
    settings = ClaudeCliSettings()
    side.warm = settings.warm * len(settings.warm_models)
    return side


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
