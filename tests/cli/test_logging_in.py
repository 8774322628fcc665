"""``claude-max-proxy login``: which CLI is run, and with what."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.commands import login


WORK = """
[backends.work]
type = "claude-cli"
command = ["{folder}/my cli", "extra"]
env = {{ CLAUDE_CONFIG_DIR = "{folder}/work", MY_TOKEN = "env:OUR_TOKEN" }}
"""


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with two CLIs that print how they are run, one of them as ``claude`` on PATH."""
    for name in ("claude", "my cli"):
        path = tmp_path / name
        path.write_text('#!/bin/sh\necho "$0 $*"; env; exit 7\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("NOBODYS_BUSINESS", "hush")
    monkeypatch.setenv("OUR_TOKEN", "ours")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "proxy.toml").write_text(WORK.format(folder=tmp_path))
    return tmp_path


def run(*words: str) -> Result:
    """Run the command; what it raises is raised here."""
    return CliRunner().invoke(login, words, catch_exceptions=False)


def test_the_first_backend(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a name, the first CLI's login runs in the terminal, and its exit status is the command's."""
    result = run()
    assert (result.exit_code, result.stderr) == (7, f"running {home}/claude auth login\n")
    first, *variables = capfd.readouterr().out.splitlines()
    assert first == f"{home}/claude auth login"
    assert {f"HOME={home}", "TERM=xterm"} <= set(variables)
    assert not [one for one in variables if one.startswith(("NOBODYS_BUSINESS", "CLAUDE_CONFIG_DIR"))]


def test_a_named_backend(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A named backend is logged in with its own command and variables, which are not printed."""
    result = run("work")
    assert result.stderr == f"running CLAUDE_CONFIG_DIR={home}/work '{home}/my cli' extra auth login\n"
    first, *variables = capfd.readouterr().out.splitlines()
    assert first == f"{home}/my cli extra auth login"
    assert {f"CLAUDE_CONFIG_DIR={home}/work", "MY_TOKEN=ours"} <= set(variables)


def test_no_such_backend(home: Path) -> None:
    """For an unknown name the nearest one is suggested; if no backend has a CLI, the message says so."""
    with pytest.raises(
        ConfigError, match=r"^no backend of type claude-cli is called 'wrok'; did you mean 'work'"
    ):
        run("wrok")
    (home / "proxy.toml").write_text('[backends.claude]\ntype = "openai"\nbase_url = "http://127.0.0.1:1"\n')
    with pytest.raises(ConfigError, match=r"^no backend of type claude-cli is configured"):
        run()


def test_no_cli(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is no CLI, the message says how to get one."""
    monkeypatch.setattr("claude_max_proxy.backends.claude_cli.command._bundled", lambda: None)
    (home / "claude").unlink()
    with pytest.raises(ConfigError, match=r"was not found; install it with `"):
        run()
