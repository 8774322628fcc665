"""The browser of the tests: Debian's Chromium, driven by Playwright; and axe, which judges accessibility.

Nothing is downloaded by Playwright. Axe comes from npm into `.cache/axe` on first use.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.installed_cli import ROOT


PROGRAM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_AXE = "axe-core@4.14.1"
_TIMEOUT = 300


def missing() -> str:
    """Return why there is no browser to test with; empty if there is one."""
    return "" if Path(PROGRAM).exists() else "Chromium is not installed: `apt-get install chromium`"


def axe() -> str:
    """Return the source of axe, installed first if need be. Raises RuntimeError if it cannot be had."""
    folder = ROOT / ".cache" / "axe"
    path = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), _AXE]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
        if done.returncode:
            raise RuntimeError(f"npm install {_AXE} failed: {done.stderr}")
    return path.read_text("utf-8")
