"""The two proxies: each is a separate program, with its own home directory and the same CLI."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from benchmarks.machine import wait_until_quiet
from benchmarks.program import Program


OURS = "claude-max-proxy"
PEER = "claude-max-api-proxy"
PEER_VERSION = "1.0.0"
_ROOT = Path(__file__).resolve().parent.parent.parent
_STARTS_AFTER = 0.5  # seconds after which the successor of a used process is started


class Side(Program):
    """One proxy with its CLI."""

    def __enter__(self) -> Self:
        """Start the proxy, and wait until it is warm."""
        super().__enter__()
        self.rest()
        return self

    def rest(self) -> None:
        """Wait until the proxy has finished what it does after an answer."""
        time.sleep(_STARTS_AFTER)  # noqa: TID251
        wait_until_quiet(self.pid)


def ours(folder: Path, environment: dict[str, str], config: str = "", name: str = OURS) -> Side:
    """Return this proxy, with ``config`` as its ``proxy.toml`` or without one."""
    command = [sys.executable, "-m", "claude_max_proxy", "serve", "--port"]
    side = Side(name, command, folder, environment)
    side.home.mkdir(exist_ok=True)
    (side.home / "proxy.toml").write_text(config)
    return side


def peer(folder: Path, environment: dict[str, str]) -> Side:
    """Return the npm tool, which is installed into ``.cache/peer`` when it is first used."""
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
