"""Shell completion, as click asks the program for it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from claude_max_proxy.cli.main import cli
from claude_max_proxy.plugin.shipped import shipped


ROOT = Path(__file__).parents[2]
MODELS = """
[models]
mine = "opus"
"mine-*" = "opus"
[backends.work]
type = "claude-cli"
[backends.other]
type = "openai"
base_url = "http://127.0.0.1:1"
"""


def completed(folder: Path, line: str) -> list[str]:
    """Return what bash gets for a line whose last word is not complete."""
    words = shlex.split(line)
    done = subprocess.run(
        [sys.executable, "-c", "from claude_max_proxy.cli.main import main; main()"],
        cwd=folder,
        env={
            **os.environ,
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "_CLAUDE_MAX_PROXY_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - (0 if line.endswith(" ") else 1)),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return [row.partition(",")[2] for row in done.stdout.splitlines() if row]


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("claude-max-proxy ser", ["serve", "service"]),
        ("claude-max-proxy models m", ["mine"]),
        ("claude-max-proxy models claude-h", ["claude-haiku-4"]),
        ("claude-max-proxy login ", ["claude", "work"]),
        ("claude-max-proxy plugins add re", ["redact_secrets"]),
        ("claude-max-proxy plugins add zzz", []),
        ("claude-max-proxy models --config none.toml ", []),
    ],
)
def test_what_is_completed(tmp_path: Path, line: str, names: list[str]) -> None:
    """Commands, models, backends and plugins are completed; where nothing can be read, nothing is."""
    (tmp_path / "proxy.toml").write_text(MODELS)
    assert completed(tmp_path, line) == names


def test_plugins_that_are_there(tmp_path: Path) -> None:
    """A plugin that has been added is not offered again, and none is run."""
    folder = tmp_path / "claude-max-proxy" / "plugins"
    folder.mkdir(parents=True)
    (folder / "shadow.py").write_text("raise SystemExit('run')")
    assert completed(tmp_path, "claude-max-proxy plugins add ") == sorted({*shipped()} - {"shadow"})


def test_the_page_of_commands() -> None:
    """Every command has its row in the docs, and the way to completion is what click offers."""
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for name, command in cli.commands.items():
        inner = command.commands if isinstance(command, click.Group) else {}
        assert (
            f"`{name}`" in page or f"`{name} [" in page or all(f"`{name} {one}`" in page for one in inner)
        ), name
        for one in inner:
            assert f"`{name} {one}`" in page
    for shell in ("bash", "zsh", "fish"):
        assert f"_CLAUDE_MAX_PROXY_COMPLETE={shell}_source claude-max-proxy" in page
