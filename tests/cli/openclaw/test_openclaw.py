"""``claude-max-proxy openclaw``, as a user meets it."""

from __future__ import annotations

import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from claude_max_proxy.cli.commands import openclaw, register_commands
from claude_max_proxy.cli.main import cli
from claude_max_proxy.cli.openclaw.asking import models
from claude_max_proxy.cli.openclaw.json5_text import read
from claude_max_proxy.config import load
from claude_max_proxy.runtime.runtime import Runtime
from tests.cli.serving_process import ROOT, serving
from tests.scripted import plugin_folder


NAME = "claude-max-proxy"
SOMEBODY = """\
// mine
{
  gateway: { mode: 'local', }, // the gateway
  models: { providers: {
    other: { baseUrl: "http://127.0.0.1:1/v1", apiKey: "k", models: [] }, // mine too
  } },
  agents: { defaults: { model: "other/m" } },
}
"""


OLDER = """\
{models: {providers: {"claude-max-proxy": {
  baseUrl: "http://127.0.0.1:9/v1", api: "openai-completions", timeoutSeconds: 60, /* slow */
  headers: {a: "b"},
  models: [{id: "claude-opus-4", name: "Opus"}, {id: "mine", name: "Mine"}]
}}}}
"""


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a proxy.toml whose backend is scripted, and without OpenClaw's files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings(tmp_path)
    return tmp_path


def settings(home: Path, text: str = "server.port = 1") -> None:
    """Write the proxy.toml; no server listens on its port."""
    folder = home / "plugins" if (home / "plugins").exists() else plugin_folder(home)
    (home / "proxy.toml").write_text(
        f'backends.claude.type = "scripted"\nplugins.paths = ["{folder}"]\n{text}\n', "utf-8"
    )


def run(*words: str) -> Result:
    """Run the command; errors that a user would see are raised."""
    return CliRunner().invoke(openclaw, words, catch_exceptions=True)


def file(home: Path, text: str, name: str = ".openclaw/openclaw.json") -> Path:
    """Write OpenClaw's configuration."""
    path = home / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def ours(path: Path) -> Any:
    """Our provider's block."""
    return read(path.read_text("utf-8"))["models"]["providers"][NAME]


def test_printing(home: Path) -> None:
    """Without ``--write`` the block is printed, each model once, and nothing is written."""
    result = run()
    assert result.exit_code == 0, result.exception
    wanted = read(result.stdout)
    block = wanted["models"]["providers"][NAME]
    assert block["baseUrl"] == "http://127.0.0.1:1/v1"
    assert [model["id"] for model in block["models"]] == [
        "claude-opus-4",
        "claude-sonnet-4",
        "claude-haiku-4",
    ]
    assert block["localService"]["command"] == sys.executable
    assert block["localService"]["args"][-2:] == ["--config", str(home / "proxy.toml")]
    assert wanted["agents"]["defaults"]["model"]["primary"] == f"{NAME}/claude-opus-4"
    assert not (home / ".openclaw").exists()


@pytest.mark.parametrize("before", [None, "", "{}\n", "{\n  // only a comment\n}\n", SOMEBODY])
def test_writing(home: Path, before: str | None) -> None:
    """It is merged in with a diff and a backup, and a second time nothing changes."""
    path = home / ".openclaw" / "openclaw.json" if before is None else file(home, before)
    if before is not None:
        path.chmod(0o640)
    result = run("--write")
    assert result.exit_code == 0, result.exception
    assert "+++ " in result.stdout
    assert ours(path)["models"]
    assert stat.S_IMODE(path.stat().st_mode) == (0o600 if before is None else 0o640)
    backups = list(path.parent.glob("*.bak"))
    assert [one.read_text() for one in backups] == ([] if before is None else [before])
    written = path.read_bytes()
    assert run("--write").stdout == f"{path}: nothing to change\n"
    assert path.read_bytes() == written
    assert len(list(path.parent.iterdir())) == len(backups) + 1


def test_what_is_not_ours_stays(home: Path) -> None:
    """Comments, other providers and an existing default stay; ``--default`` replaces the default."""
    path = file(home, SOMEBODY)
    run("--write")
    text = path.read_text()
    for line in ("// mine\n", "gateway: { mode: 'local', }, // the gateway", "// mine too"):
        assert line in text
    assert read(text)["agents"]["defaults"]["model"] == "other/m"
    result = run("--write", "--default")
    assert read(path.read_text())["agents"]["defaults"]["model"] == f"{NAME}/claude-opus-4"
    assert f"the default model is {NAME}/claude-opus-4; `openclaw models set MODEL`" in result.stderr


def test_the_default_model_is_told(home: Path) -> None:
    """Whichever default model there is, the user hears of it and how to have another."""
    file(home, SOMEBODY)
    for words in ((), ("--write",), ("--write",)):
        told = (
            f"the default model stays other/m; to make it {NAME}/claude-opus-4, run this again with --default"
        )
        assert told in run(*words).stderr
    file(home, "{}")
    assert f"the default model is {NAME}/claude-opus-4" in run("--write").stderr


def test_where_the_log_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that OpenClaw starts, which keeps no output of it, writes a log, and the user hears where."""
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    path = file(home, "{}")
    log = re.search(r"the log of the proxy that OpenClaw starts is in (.+)", run("--write").stderr)
    assert log is not None
    arguments = ours(path)["localService"]["args"]
    assert arguments[3:5] == ["--log-file", log[1]]
    assert "the log of the proxy" not in run("--no-service").stderr


def test_an_older_block(home: Path) -> None:
    """A block of another port is brought up to date; what the user added to it stays."""
    path = file(home, OLDER)
    assert run("--write").exit_code == 0
    block = ours(path)
    assert (block["baseUrl"], block["timeoutSeconds"]) == ("http://127.0.0.1:1/v1", 60)
    assert block["headers"] == {"a": "b"}
    names = [model["name"] for model in block["models"]]
    assert names[:2] == ["Opus", "Mine"]
    assert len(names) == 4
    assert "/* slow */" in path.read_text()


@pytest.mark.parametrize("name", [".moltbot/moltbot.json", ".clawdbot/clawdbot.json"])
def test_the_older_names(home: Path, name: str) -> None:
    """The files of Moltbot and Clawdbot are found, and get no key that these releases refuse."""
    path = file(home, "{}", name)
    assert run("--write").exit_code == 0
    assert ours(path).keys() == {"baseUrl", "apiKey", "api", "models"}


def test_a_link_stays_one(home: Path) -> None:
    """If the configuration is a link, its target is written."""
    real = file(home, "{}", "dotfiles/openclaw.json")
    path = home / ".openclaw" / "openclaw.json"
    path.parent.mkdir()
    path.symlink_to(real)
    assert run("--write").exit_code == 0
    assert path.is_symlink()
    assert ours(real)


def test_broken_files_are_left_alone(home: Path) -> None:
    """A file that is not JSON5 is refused with its line, and is not changed."""
    path = file(home, "{\n  a: 1\n  b: 2\n}")
    result = run("--write")
    assert str(result.exception).startswith(f"{path}, line 3: not valid JSON5")
    assert path.read_text() == "{\n  a: 1\n  b: 2\n}"
    assert list(path.parent.iterdir()) == [path]


def test_a_configuration_managed_from_outside(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenClaw may not write, this command does not write either."""
    monkeypatch.setenv("OPENCLAW_CONFIG_READONLY", "1")
    path = file(home, "{}")
    assert "managed from outside" in str(run("--write").exception)
    assert path.read_text() == "{}"


def test_keys_are_referred_to(home: Path) -> None:
    """A key of the proxy's is referred to, never copied, and only models that it may ask for are listed."""
    long = 'b = { key = "another long secret", models = ["claude-haiku-*"] }'
    settings(home, f'server = {{ port = 1, api_keys = {{ a = "a long secret", {long}, c = "env:MY_KEY" }} }}')
    path = file(home, "{}")
    result = run("--write", "--key", "b")
    assert result.exit_code == 0, result.exception
    assert ours(path)["apiKey"] == "${CLAUDE_MAX_PROXY_KEY}"
    assert [model["id"] for model in ours(path)["models"]] == ["claude-haiku-4"]
    assert "set CLAUDE_MAX_PROXY_KEY to it" in result.stderr
    run("--write", "--key", "c")
    assert ours(path)["apiKey"] == "${MY_KEY}"
    assert "secret" not in path.read_text() + result.output
    assert "has no 'd'" in str(run("--key", "d").exception)


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("port = 5", "http://127.0.0.1:5/v1"),
        ('host = "0.0.0.0"\nport = 5\napi_keys = { a = "key" }', "http://127.0.0.1:5/v1"),
        ('host = "::1"\nport = 5', "http://[::1]:5/v1"),
        ('tls_certificate = "c"\ntls_key = "k"\nport = 5', "https://127.0.0.1:5/v1"),
    ],
)
def test_where_the_proxy_is(home: Path, server: str, url: str) -> None:
    """The URL is what a client on this machine uses."""
    settings(home, f"[server]\n{server}")
    assert read(run("--no-service").stdout)["models"]["providers"][NAME]["baseUrl"] == url


@pytest.mark.parametrize(
    ("server", "problem"), [('unix_socket = "s"', "Unix socket"), ("port = 0", "another port at each start")]
)
def test_what_openclaw_cannot_reach(home: Path, server: str, problem: str) -> None:
    """A Unix socket, or a port that changes, is refused with a reason."""
    settings(home, f"[server]\n{server}")
    assert problem in str(run().exception)


def test_a_policy_that_leaves_us_out(home: Path) -> None:
    """A list of allowed models is not changed, and the user is told about it."""
    file(home, '{agents: {defaults: {modelPolicy: {allow: ["other/*"]}}}}')
    assert f'add "{NAME}/*" to it' in run().stderr


@pytest.mark.parametrize("api", ["openai-completions", "openai-responses"])
def test_the_plugin_for_its_context(home: Path, api: str) -> None:
    """The user is told about the plugin that keeps conversations live, unless it is installed."""
    words = ("--api", api)
    assert "plugins add openclaw_context" in run(*words).stderr
    folder = home / "plugins"
    (folder / "openclaw_context.py").write_text((ROOT / "plugins" / "openclaw_context.py").read_text())
    (folder / "openclaw_context.py").chmod(0o600)
    assert "openclaw_context" not in run(*words).stderr


async def test_a_running_proxy_is_asked(tmp_path: Path) -> None:
    """OpenClaw gets what a running proxy knows about its models."""
    async with serving(tmp_path) as running:
        url = (await running.says(r"address\s+(\S+)")).removesuffix("/v1")
        found = await models(Runtime(load(tmp_path / "proxy.toml")), url, "")
    assert "echo" in found
    assert "opus" not in found


def test_it_is_registered() -> None:
    """The program has this command."""
    register_commands(cli)
    assert cli.commands["openclaw"] is openclaw
