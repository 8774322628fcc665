"""Shell commands for a user whose CLI is missing or not logged in; they can be copied and run unchanged."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


LOG_IN = ("auth", "login")
# The package that carries a CLI, so that nobody needs Node.
_PACKAGE = "claude-agent-sdk"
_NPM = "npm install -g @anthropic-ai/claude-code"
# Of a backend's own variables, those that say where the login is kept; none of them is a secret.
_PLACES = ("CLAUDE_CONFIG_DIR", "HOME", "XDG_CONFIG_HOME")


def how_to_log_in(command: Sequence[str], env: Mapping[str, str]) -> str:
    """Return the shell command that logs in the CLI ``command``, where a backend's ``env`` says."""
    places = [f"{name}={shlex.quote(env[name])}" for name in _PLACES if name in env]
    program = str(Path(command[0]).absolute())
    return " ".join([*places, _shell([program, *command[1:], *LOG_IN])])


def how_to_install(prefix: Path = Path(sys.prefix)) -> str:
    """Say how to get a CLI, in the way in which the Python environment at ``prefix`` was installed."""
    return (
        f"install it with `{_install_command(prefix)}`, or with Node by `{_NPM}`, "
        "or name it in [backends.claude] command"
    )


def _install_command(prefix: Path) -> str:
    if (prefix / "pipx_metadata.json").is_file():
        return _shell(["pipx", "inject", prefix.name, _PACKAGE])
    if (receipt := prefix / "uv-receipt.toml").is_file():
        return _shell(["uv", "tool", "install", "--force", "--with", _PACKAGE, _source(receipt)])
    if (prefix / "installed").is_file() and (prefix.parent / "Makefile").is_file():  # as `make run` has it
        return _shell(["make", "-C", str(prefix.parent), "cli"])
    if importlib.util.find_spec("pip") is None:
        return _shell(["uv", "pip", "install", "--python", sys.executable, _PACKAGE])
    return _shell([sys.executable, "-m", "pip", "install", _PACKAGE])


def _source(receipt: Path) -> str:
    """Return what uv installed this tool from: a folder, a repository, or the package's name."""
    try:
        tool: Any = tomllib.loads(receipt.read_text("utf-8")).get("tool", {})
    except (OSError, ValueError):
        tool = {}
    listed: list[dict[str, Any]] = tool.get("requirements", [])
    ours = next((one for one in listed if one.get("name") == "claude-max-proxy"), {})
    places = [ours[key] for key in ("directory", "editable", "path", "url") if key in ours]
    places += [f"git+{ours['git']}"] if "git" in ours else []
    return str(next(iter(places), "claude-max-proxy"))


def _shell(words: Sequence[str]) -> str:
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
