"""The commands that users are told to run to get a CLI, and to log it in."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from claude_max_proxy.backends.claude_cli.advice import how_to_install, how_to_log_in


PIP = shlex.join([sys.executable, "-m", "pip", "install", "claude-agent-sdk"])
RECEIPT = '[tool]\nrequirements = [{{ name = "claude-max-proxy"{source} }}, {{ name = "other" }}]\n'
UV = "uv tool install --force --with claude-agent-sdk"


@pytest.mark.parametrize(
    ("command", "env", "line"),
    [
        (["/usr/bin/claude"], {}, "/usr/bin/claude auth login"),
        (["/a b/claude"], {"X": "y"}, "'/a b/claude' auth login"),
        (["/usr/bin/node", "cli.js"], {}, "/usr/bin/node cli.js auth login"),
        (
            ["/usr/bin/claude"],
            {"CLAUDE_CONFIG_DIR": "/my dir", "ANTHROPIC_API_KEY": "secret"},
            "CLAUDE_CONFIG_DIR='/my dir' /usr/bin/claude auth login",
        ),
    ],
)
def test_logging_in(command: list[str], env: dict[str, str], line: str) -> None:
    """The command can be run in a shell, with the place of the login, and without any secret."""
    assert how_to_log_in(command, env) == line


def test_a_program_beside_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is shown as an absolute one."""
    monkeypatch.chdir(tmp_path)
    assert how_to_log_in(["bin/claude"], {}) == shlex.join([str(tmp_path / "bin/claude"), "auth", "login"])


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({}, PIP),
        ({"venv/pipx_metadata.json": "{}"}, "pipx inject venv claude-agent-sdk"),
        ({"venv/uv-receipt.toml": RECEIPT.format(source="")}, f"{UV} claude-max-proxy"),
        ({"venv/uv-receipt.toml": RECEIPT.format(source=', directory = "/a b"')}, f"{UV} '/a b'"),
        ({"venv/uv-receipt.toml": RECEIPT.format(source=', git = "https://x/y"')}, f"{UV} git+https://x/y"),
        ({"venv/uv-receipt.toml": "[tool"}, f"{UV} claude-max-proxy"),
        ({"venv/installed": "", "Makefile": ""}, "make -C {folder} cli"),
        ({"venv/installed": ""}, PIP),
    ],
    ids=["a venv", "pipx", "uv", "uv from a folder", "uv from git", "uv, broken", "make", "no Makefile"],
)
def test_installing(tmp_path: Path, files: dict[str, str], command: str) -> None:
    """The advice for installing the CLI fits how the proxy was installed, and also names Node's way."""
    prefix = tmp_path / "venv"
    prefix.mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    told = how_to_install(prefix)
    assert told.startswith(f"install it with `{command.format(folder=tmp_path)}`, or with Node by `npm ")
    assert told.endswith("or name it in [backends.claude] command")


def test_an_environment_without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an environment without pip, such as one that uv made, the command uses uv."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    line = shlex.join(["uv", "pip", "install", "--python", sys.executable, "claude-agent-sdk"])
    assert f"`{line}`" in how_to_install(tmp_path)
