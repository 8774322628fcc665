"""The real CLIs that the tests run: found in `.cache/cli`, or installed there on first use.

    python -m tests.installed_cli

`CLAUDE_MAX_PROXY_TEST_CLIS` may list other binaries, separated by the platform's path separator; they
are tested as well. Nothing outside `.cache` is touched.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path


ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "cli"
PINNED = "2.1.197"
NEWEST = "newest"
OTHERS = "CLAUDE_MAX_PROXY_TEST_CLIS"
_BUNDLED = "claude_agent_sdk/_bundled/claude"
_TIMEOUT = 900

Say = Callable[[str], None]


def names() -> list[str]:
    """Return the names of the CLIs to test, without installing any: our own two, and the paths of others."""
    others = [path for path in os.environ.get(OTHERS, "").split(os.pathsep) if path]
    return [PINNED, NEWEST, *others]


def command(name: str, say: Say = print) -> str:
    """Return the path of the CLI of this name, installed first if need be.

    Raises RuntimeError when it cannot be had: a test that needs it fails then, it is never skipped.
    """
    if name == PINNED:
        path = _from_npm(say)
    elif name == NEWEST:
        path = _from_wheel(say)
    else:
        path = Path(name)
    if not path.exists():
        raise RuntimeError(f"there is no Claude Code CLI at {path}")
    return str(path)


def version(path: str) -> str:
    """Return the version of a CLI."""
    said = _run([path, "--version"], "asking for its version")
    match = re.match(r"\d+\.\d+\.\d+", said)
    if match is None:
        raise RuntimeError(f"{path} is not the Claude Code CLI: it says {said[:200]!r}")
    return match[0]


def _from_npm(say: Say) -> Path:
    """Install the version that runs on Node 20, as npm's users get it."""
    prefix = CACHE / "npm"
    path = prefix / "node_modules" / ".bin" / "claude"
    if path.exists():
        return path

    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(f"npm is needed to install the Claude Code CLI {PINNED} for the tests")
    say(f"installing @anthropic-ai/claude-code@{PINNED} into {prefix.relative_to(ROOT)}")
    prefix.mkdir(parents=True, exist_ok=True)
    package = f"@anthropic-ai/claude-code@{PINNED}"
    _run([npm, "install", "--no-audit", "--no-fund", "--prefix", str(prefix), package], "npm install")
    return path


def _from_wheel(say: Say) -> Path:
    """Take the native binary out of the newest `claude-agent-sdk` wheel, and nothing else."""
    path = CACHE / "wheel" / "claude"
    if path.exists():
        return path

    say(f"downloading the claude-agent-sdk wheel for {path.relative_to(ROOT)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        download = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        _run([*download, "--dest", folder, "claude-agent-sdk"], "pip download")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            extracted = Path(archive.extract(_BUNDLED, folder))
        extracted.chmod(extracted.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        extracted.replace(path)
    return path


def _run(arguments: list[str], doing: str) -> str:
    try:
        done = subprocess.run(
            arguments, capture_output=True, check=False, text=True, timeout=_TIMEOUT, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"{doing} failed: {error}") from error
    if done.returncode:
        raise RuntimeError(f"{doing} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """Install what is missing, and print what there is."""
    try:
        for name in names():
            path = command(name)
            print(f"{version(path)}  {path}")  # noqa: T201
    except RuntimeError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
