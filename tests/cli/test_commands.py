"""The commands, as a user sees them."""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from claude_max_proxy import ConfigError, __version__
from claude_max_proxy.cli.announcing import announce, announce_backends
from claude_max_proxy.cli.commands import (
    config,
    demo,
    doctor,
    login,
    models,
    new_plugin,
    openclaw,
    plugins,
    serve,
    service,
)
from claude_max_proxy.cli.sockets import bind_tcp
from claude_max_proxy.config import DEFAULT_MODELS
from claude_max_proxy.runtime.runtime import Runtime
from tests.certificates import certificates
from tests.cli.serving_process import serving
from tests.scripted import plugin_folder, scripted_runtime


def configuration(path: Path, text: str = "") -> Path:
    """Return a ``proxy.toml`` whose backend is scripted."""
    folder = plugin_folder(path)
    file = path / "proxy.toml"
    file.write_text(f'backends.claude.type = "scripted"\nplugins.paths = ["{folder}"]\n{text}')
    return file


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, in a separate folder and home."""
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
        *(serve, login, models, demo, plugins, new_plugin, openclaw, doctor),
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


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("cheap-one", ["cheap-one", "claude", "haiku", "200,000", "effort=low"]),
        ("opus", ["opus", "claude", "opus", "200,000", "-", "built", "in"]),
        ("cheap-*", ["cheap-*", "claude", "haiku", "200,000", "effort=low"]),
    ],
)
def test_one_model(tmp_path: Path, name: str, row: list[str]) -> None:
    """A name that is given is explained, also one that only a pattern stands for."""
    file = configuration(tmp_path, '[models]\n"cheap-*" = { to = "claude/haiku", effort = "low" }\n')
    result = CliRunner().invoke(models, [name, "--config", str(file)], catch_exceptions=False)
    rows = [line.split() for line in result.output.splitlines()]
    assert len(rows) == 2
    assert rows[1][: len(row)] == row


def test_a_model_that_is_none(tmp_path: Path) -> None:
    """A name that clients cannot use is an error with the nearest one."""
    file = configuration(tmp_path)
    with pytest.raises(
        ConfigError, match=r"^no line of \[models\] stands for 'opsu'; did you mean 'opus'\?$"
    ):
        CliRunner().invoke(models, ["opsu", "--config", str(file)], catch_exceptions=False)


def test_a_broken_configuration(tmp_path: Path) -> None:
    """A mistake in the configuration is one paragraph and status 2, never a traceback."""
    (tmp_path / "proxy.toml").write_text("[server]\nprot = 1\n")
    result = command("models", folder=tmp_path)
    assert result.returncode == 2
    file = (tmp_path / "proxy.toml").resolve()
    assert result.stderr == f"{file}:2: server: unknown key 'prot'; did you mean 'port'?\n"
    assert result.stdout == ""


def test_the_configuration_is_found(tmp_path: Path) -> None:
    """``proxy.toml`` in the working directory is read, with the plugins next to it."""
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
        (["serve", "--config", "none.toml"], 2, "none.toml: cannot be read"),
        (["serve", "--host", "0.0.0.0"], 2, "api_keys must be set"),
        (["service", "status"], 1, "not installed"),
    ],
)
def test_at_the_prompt(tmp_path: Path, words: list[str], status: int, output: str) -> None:
    """The options of the command itself, and the messages for mistakes."""
    result = command(*words, folder=tmp_path)
    assert result.returncode == status
    assert output in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken() -> None:
    """If the port is in use, the error says so, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*--port"):
            bind_tcp("127.0.0.1", port)


class FakeListener:
    """A socket with only those methods that the banner needs."""

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
    """The banner shows the version, the URL for programs, which models there are, and a command to try it."""
    listener: Any = FakeListener(*address)
    announce(scripted_runtime(tmp_path, {"models": {"mine": "claude/x", "cheap-*": "claude/y"}}), listener)
    first, *rows = capsys.readouterr().out.splitlines()
    said = {name: value.strip() for name, _, value in (row.strip().partition("  ") for row in rows)}
    assert first == f"claude-max-proxy {__version__}"
    assert said["address"] == f"{url}/v1"
    assert said["config"] == "none: the defaults"
    assert "mine" in said["models"].split(", ")
    assert "*" not in said["models"]
    assert shlex.split(said["try"])[:2] == ["curl", f"{url}/v1/chat/completions"]
    assert "Authorization" not in said["try"]


def said_of(runtime: Runtime, capsys: pytest.CaptureFixture[str], *address: Any) -> dict[str, str]:
    """The rows of the banner."""
    announce(runtime, FakeListener(*address))  # type: ignore[arg-type]
    rows = capsys.readouterr().out.splitlines()[1:]
    return {name: value.strip() for name, _, value in (row.strip().partition("  ") for row in rows)}


@pytest.mark.parametrize(
    ("key", "reference", "told"),
    [
        ('"hush-hush"', "$KEY", True),
        ('{ key = "hush-hush", models = ["gpt-*"] }', "$KEY", True),
        ('"env:MY_KEY"', "$MY_KEY", False),
        ('"env:MY KEY"', "$KEY", True),
        ('"file:/my keys/one"', "$(cat '/my keys/one')", False),
    ],
)
def test_a_key_to_try_it_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, reference: str, told: bool
) -> None:
    """If a key is needed, the command shows where a shell finds it, and never the key itself."""
    table = tomllib.loads(f"server.api_keys.me = {key}\n[models]\ngpt-x = 'opus'")
    said = said_of(scripted_runtime(tmp_path, table), capsys, "127.0.0.1", 80)
    assert said["try"].endswith(f'-H "Authorization: Bearer {reference}"')
    assert ("KEY" in said) is told
    assert "hush" not in str(said)
    assert ('"model":"gpt-x"' in said["try"]) is ("gpt" in key)


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({"unix_socket": "/a b/s"}, ["--unix-socket", "/a b/s", "http://localhost/v1/chat/completions"]),
        ({"tls_certificate": "/c.pem"}, ["--cacert", "/c.pem", "https://127.0.0.1:80/v1/chat/completions"]),
        (
            {"tls_certificate": "/c.pem", "allowed_hosts": ["me.lan"]},
            [
                *("--cacert", "/c.pem", "--resolve", "me.lan:80:127.0.0.1"),
                "https://me.lan:80/v1/chat/completions",
            ],
        ),
    ],
)
def test_ways_to_try_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: dict[str, Any], words: list[str]
) -> None:
    """The command uses an address that reaches this server from this machine."""
    said = said_of(scripted_runtime(tmp_path, {"server": server}), capsys, "0.0.0.0", 80)
    assert shlex.split(said["try"])[1 : len(words) + 1] == words


@pytest.mark.parametrize("how", ["plain", "keys", "unix", "tls"])
async def test_the_printed_command_works(tmp_path: Path, how: str) -> None:
    """The command that the banner suggests gets an answer, unchanged."""
    made = certificates(tmp_path)
    made.key.chmod(0o600)
    (tmp_path / "my key").write_text("hush-hush")
    (tmp_path / "my key").chmod(0o600)
    keys = f'api_keys = {{ me = "file:{tmp_path / "my key"}" }}\n'
    server = {
        "plain": "",
        "keys": keys,
        "unix": f'unix_socket = "{tmp_path / "s"}"\n{keys}',
        "tls": f'tls_certificate = "{made.certificate}"\ntls_key = "{made.key}"\n{keys}',
    }[how]
    toml = f'claude-sonnet-4 = "echo"\n[server]\n{server}'
    async with serving(tmp_path, toml) as proxy:
        command = await proxy.says(r"try\s+(curl .+)")
        asked = await asyncio.create_subprocess_shell(
            f"{command} --silent --show-error",
            stdout=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"]},
        )
        output, _ = await asyncio.wait_for(asked.communicate(), 20)
    assert b'"content":"' in output, output


async def test_a_login_is_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a CLI says of its login last is in its row; after a while the row is there without."""
    runtime = scripted_runtime(tmp_path)
    backend: Any = runtime.backends["claude"]
    facts = {"status": "ok", "command": "/bin/claude", "version": "2.1.330"}
    backend.health = lambda: facts
    task = asyncio.get_running_loop().create_task(announce_backends(runtime))
    await asyncio.sleep(0.1)
    assert capsys.readouterr().out == ""
    facts["problem"] = "Not logged in. Run: /bin/claude auth login"
    await asyncio.wait_for(task, 5)
    assert capsys.readouterr().out == "  claude    2.1.330 · Not logged in. Run: /bin/claude auth login\n"
    del facts["problem"]
    monkeypatch.setattr("claude_max_proxy.cli.announcing._TIMEOUT", 0.1)
    await asyncio.wait_for(announce_backends(runtime), 5)
    assert capsys.readouterr().out == "  claude    /bin/claude · 2.1.330\n"


async def test_the_backends_announce_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each backend's state is printed when it is known; a backend that is starting is waited for."""
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
