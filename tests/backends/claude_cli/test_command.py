"""How the CLI is found, and what it is run with."""

from __future__ import annotations

import json
import stat
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest

from claude_max_proxy import Agent, BackendUnavailable, NotFound
from claude_max_proxy.backends.claude_cli.command import (
    SEALED,
    arguments,
    environment,
    find_command,
    private_directory,
    working_directory,
)
from claude_max_proxy.backends.claude_cli.kind import Kind


def program(folder: Path, name: str = "claude") -> Path:
    """An executable of this name."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    return path


def test_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CLI is found on PATH by its name."""
    path = program(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(path.parent))
    assert find_command("claude") == [str(path)]


def test_by_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command may be a path, also from the home, and may have arguments that come first."""
    path = program(tmp_path / "bin", "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_command(str(path)) == [str(path)]
    assert find_command(["~/bin/mine", "-x"]) == [str(path), "-x"]


@pytest.mark.parametrize(("command", "words"), [("no-such-program", "npm install"), ([], "command is empty")])
def test_not_found(command: str | list[str], words: str) -> None:
    """A CLI that is not there is told with the way to install it."""
    with pytest.raises(BackendUnavailable, match=words):
        find_command(command)


@pytest.mark.parametrize("model", ["opus", "claude-opus-4-1", "opus[1m]", "us.anthropic.claude:0", "a/b@c"])
def test_models(model: str) -> None:
    """A model's name is the last argument."""
    assert arguments(["claude", "-x"], Kind(model))[:2] == ["claude", "-x"]
    assert arguments(["claude"], Kind(model))[-2:] == ["--model", model]


@pytest.mark.parametrize("model", ["", "-x", "--settings", "a b", "a\n", "x" * 129, "é", "*"])
def test_what_is_no_model(model: str) -> None:
    """What could be taken for anything but a model's name never becomes an argument."""
    with pytest.raises(NotFound) as caught:
        arguments(["claude"], Kind(model))
    assert caught.value.code == "model_not_found"


def test_a_sealed_process() -> None:
    """Without an agent the CLI has no tools, no settings, and may call the client's tools alone."""
    given = arguments(["claude"], Kind("opus"))
    pairs = dict(pairwise(given))
    assert (pairs["--tools"], pairs["--setting-sources"], pairs["--allowedTools"]) == (
        "",
        "",
        "mcp__c,mcp__d",
    )
    assert pairs["--permission-mode"] == "dontAsk"
    assert {"--no-session-persistence", "--strict-mcp-config", "--disable-slash-commands"} <= set(given)
    assert json.loads(pairs["--settings"])["attribution"] == {"commit": "", "pr": ""}
    assert json.loads(pairs["--settings"])["crossSessionInbound"] == "refuse"


def test_an_agent() -> None:
    """An agent has the tools, rules and settings that its entry gives it."""
    agent = Agent(("Read", "Bash"), "work", ("Read",), "acceptEdits", ("project",))
    given = arguments(["claude"], Kind("opus", agent))
    pairs = dict(pairwise(given))
    assert (pairs["--tools"], pairs["--allowedTools"]) == ("Read,Bash", "mcp__c,mcp__d,Read")
    assert (pairs["--setting-sources"], pairs["--permission-mode"]) == ("project", "acceptEdits")
    assert json.loads(pairs["--settings"]) == {"crossSessionInbound": "refuse"}


INHERITED = {
    "PATH": "/bin",
    "HOME": "/home/me",
    "https_proxy": "http://p",
    "LC_ALL": "C",
    "ANTHROPIC_BASE_URL": "http://x",
    "CLAUDE_CODE_OAUTH_TOKEN": "t",
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "OPENAI_API_KEY": "secret",
    "NODE_OPTIONS": "--inspect",
    "DISABLE_AUTO_COMPACT": "0",
}


def test_what_is_inherited() -> None:
    """Only what the CLI needs of our environment goes to it, and what seals it stands above that."""
    child = environment(INHERITED, {})
    assert {name for name in INHERITED if name in child} == {
        "PATH",
        "HOME",
        "https_proxy",
        "LC_ALL",
        "ANTHROPIC_BASE_URL",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "DISABLE_AUTO_COMPACT",
    }
    assert {name: child[name] for name in SEALED} == SEALED


def test_what_is_configured() -> None:
    """``env`` of the backend is added last."""
    child = environment(INHERITED, {"PATH": "/mine", "NEW": "1", "ENABLE_TOOL_SEARCH": "true"})
    assert (child["PATH"], child["NEW"], child["ENABLE_TOOL_SEARCH"]) == ("/mine", "1", "true")


def test_an_agent_may_read_its_settings() -> None:
    """An agent that has settings of its own is not kept from their instructions."""
    name = "CLAUDE_CODE_DISABLE_CLAUDE_MDS"
    assert name in environment({}, {}, Agent((), "x"))
    assert name not in environment({}, {}, Agent((), "x", settings=("user",)))


def test_an_agent_has_the_clis_own_agents() -> None:
    """Only where the client's tools are the only ones are there none of the CLI's own agents."""
    name = "CLAUDE_AGENT_SDK_DISABLE_BUILTIN_AGENTS"
    assert name in environment({}, {})
    assert name not in environment({}, {}, Agent(("Agent",), "x"))


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of the system, of our own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_private_directory(temporary: Path) -> None:
    """The directory is empty, ours alone, and the same each time."""
    path = private_directory()
    assert path.parent == temporary
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert private_directory() == path


@pytest.mark.parametrize("spoil", ["file in it", "open to others", "link", "file"])
def test_a_directory_that_cannot_be_trusted(temporary: Path, spoil: str) -> None:
    """A place that somebody could have prepared is not used."""
    path = private_directory()
    match spoil:
        case "file in it":
            (path / "CLAUDE.md").touch()
        case "open to others":
            path.chmod(0o777)
        case "link":
            path.rmdir()
            (temporary / "elsewhere").mkdir(mode=0o700)
            path.symlink_to(temporary / "elsewhere")
        case _:
            path.rmdir()
            path.touch()
    other = private_directory()
    assert other != path
    assert stat.S_IMODE(other.stat().st_mode) == 0o700
    assert list(other.iterdir()) == []


def test_where_an_agent_works(tmp_path: Path, temporary: Path) -> None:
    """An agent works in its directory, which must exist; all else in the private one."""
    assert working_directory(Kind("m", Agent((), str(tmp_path)))) == tmp_path
    assert working_directory(Kind("m")) == private_directory()
    with pytest.raises(BackendUnavailable, match="none' does not exist"):
        working_directory(Kind("m", Agent((), str(tmp_path / "none"))))
