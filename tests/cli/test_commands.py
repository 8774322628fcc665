"""The commands, as a user meets them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from claude_max_proxy import ConfigError, __version__
from claude_max_proxy.cli.commands import (
    config,
    demo,
    doctor,
    models,
    new_plugin,
    openclaw,
    plugins,
    serve,
    service,
)
from claude_max_proxy.cli.listening import bind_tcp
from claude_max_proxy.cli.serving import announce, announce_backends
from claude_max_proxy.config import DEFAULT_MODELS
from tests.scripted import plugin_folder, scripted_runtime


def configuration(path: Path, text: str = "") -> Path:
    """A ``proxy.toml`` whose backend is scripted."""
    folder = plugin_folder(path)
    file = path / "proxy.toml"
    file.write_text(f'backends.claude.type = "scripted"\nplugins.paths = ["{folder}"]\n{text}')
    return file


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, in a folder and a home of its own."""
    return subprocess.run(
        [sys.executable, "-m", "claude_max_proxy", *words],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "used",
    [
        *(serve, models, demo, plugins, new_plugin, openclaw, doctor),
        *(config, *config.commands.values(), service, *service.commands.values()),
    ],
)
def test_every_command_explains_itself(used: Any) -> None:
    """``--help`` says what a command and each of its options does."""
    result = CliRunner().invoke(used, ["--help"])
    assert result.exit_code == 0
    assert " ".join(used.help.split()) in " ".join(result.output.split())
    for parameter in used.params:
        assert not isinstance(parameter, click.Option) or parameter.help


def test_the_models(tmp_path: Path) -> None:
    """The table says what each name means, what it sets and where it was defined."""
    file = configuration(
        tmp_path,
        '[models]\n"cheap-*" = { to = "claude/haiku", effort = "low", max_tokens = 9, system = "s" }\n'
        '"cheaper-*" = { to = "cheap-*", hidden = true, fallback = ["opus"] }\n',
    )
    result = CliRunner().invoke(models, ["--config", str(file)], catch_exceptions=False)
    assert result.exit_code == 0
    rows = [line.split() for line in result.output.splitlines()]
    assert len(rows) == len(DEFAULT_MODELS) + 3
    assert ["claude-opus-4", "claude", "opus", "200,000", "-", "built", "in"] in rows
    assert [
        "cheap-*",
        "claude",
        "haiku",
        "200,000",
        "effort=low",
        "max_tokens=9",
        "system",
        str(file),
    ] in rows
    assert ["cheaper-*", "claude", "haiku", "200,000", "hidden", "fallback=opus", str(file)] in rows
    assert ["claude-*", "claude", "claude-*", "200,000", "-", "built", "in"] in rows


def test_a_broken_configuration(tmp_path: Path) -> None:
    """A mistake in the configuration is one paragraph and status 2, never a traceback."""
    (tmp_path / "proxy.toml").write_text("[server]\nprot = 1\n")
    result = command("models", folder=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "Error: server: unknown key 'prot'; did you mean 'port'?\n"
    assert result.stdout == ""


def test_the_configuration_is_found(tmp_path: Path) -> None:
    """``proxy.toml`` in the working directory is read, with the plugins beside it."""
    configuration(tmp_path, '[models]\nmine = "claude/opus"\n')
    result = command("models", folder=tmp_path)
    assert result.returncode == 0
    assert "mine " in result.stdout


@pytest.mark.parametrize(
    ("words", "status", "output"),
    [
        (["--version"], 0, f"claude-max-proxy, version {__version__}"),
        (["--help"], 0, "Point any OpenAI program at your own Claude Code login."),
        ([], 0, "serve"),
        (["sevre"], 2, "No such command 'sevre'"),
        (["serve", "--port", "70000"], 2, "70000"),
        (["serve", "--config", "none.toml"], 2, "none.toml cannot be read"),
        (["serve", "--host", "0.0.0.0"], 2, "api_keys must be set"),
        (["service", "status"], 1, "not installed"),
    ],
)
def test_at_the_prompt(tmp_path: Path, words: list[str], status: int, output: str) -> None:
    """What can be asked of the command itself, and what it says to mistakes."""
    result = command(*words, folder=tmp_path)
    assert result.returncode == status
    assert output in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken() -> None:
    """A port in use is an error that says so, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*--port"):
            bind_tcp("127.0.0.1", port)


class FakeListener:
    """A socket, as far as the banner looks at it."""

    def __init__(self, *address: Any) -> None:
        self._address = address

    def getsockname(self) -> tuple[Any, ...]:
        return self._address


@pytest.mark.parametrize(
    ("address", "url"),
    [(("127.0.0.1", 3456), "http://127.0.0.1:3456"), (("::1", 80, 0, 0), "http://[::1]:80")],
)
def test_the_announcement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: tuple[Any, ...], url: str
) -> None:
    """The banner says the version, where to point a program, what it may ask for, and how to try it."""
    listener: Any = FakeListener(*address)
    announce(scripted_runtime(tmp_path, {"models": {"mine": "claude/x", "cheap-*": "claude/y"}}), listener)
    first, *rows = capsys.readouterr().out.splitlines()
    said = {name: value.strip() for name, _, value in (row.strip().partition("  ") for row in rows)}
    assert first == f"claude-max-proxy {__version__}"
    assert said["address"] == f"{url}/v1"
    assert said["config"] == "none: the defaults"
    assert "mine" in said["models"].split(", ")
    assert "*" not in said["models"]
    assert said["try"].startswith(f"curl {url}/v1/chat/completions")


async def test_the_backends_announce_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each backend says how it stands once it knows; one that starts is waited for."""
    table = {"backends": {"slow": {"type": "scripted", "status": "starting"}}}
    runtime = scripted_runtime(tmp_path, table)
    slow: Any = runtime.backends["slow"]
    task = asyncio.get_running_loop().create_task(announce_backends(runtime))
    await asyncio.sleep(0.01)
    assert capsys.readouterr().out == "  claude    ok\n"
    slow.health = lambda: {
        "status": "degraded",
        "command": "claude",
        "version": "2.1.330",
        "problem": "not logged in",
    }
    await asyncio.wait_for(task, 5)
    assert capsys.readouterr().out == "  slow      claude · 2.1.330 · not logged in\n"
