"""How the CLI is found, and with which arguments and environment it is run."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from claude_max_proxy import Agent, NotFound
from claude_max_proxy.backends.claude_cli.command import (
    SEALED,
    arguments,
    environment,
    find_command,
    working_directory,
)
from claude_max_proxy.backends.claude_cli.directory import private_directory
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.errors import BackendUnavailable


def program(folder: Path, name: str = "claude") -> Path:
    """Return an executable of this name."""
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
    """A command may be a path, also below ``~``, and may have arguments that come first."""
    path = program(tmp_path / "bin", "mine")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_command(str(path)) == [str(path)]
    assert find_command(["~/bin/mine", "-x"]) == [str(path), "-x"]


@pytest.mark.parametrize(("command", "words"), [("no-such-program", "npm install"), ([], "command is empty")])
def test_not_found(command: str | list[str], words: str) -> None:
    """If the CLI is missing, the error says how to install it."""
    with pytest.raises(BackendUnavailable, match=words):
        find_command(command)


@pytest.mark.parametrize("model", ["opus", "claude-opus-4-1", "opus[1m]", "us.anthropic.claude:0", "a/b@c"])
def test_models(model: str) -> None:
    """A model's name is the last argument."""
    assert arguments(["claude", "-x"], ProcessKind(model))[:2] == ["claude", "-x"]
    assert arguments(["claude"], ProcessKind(model))[-2:] == ["--model", model]


@pytest.mark.parametrize("model", ["", "-x", "--settings", "a b", "a\n", "x" * 129, "é", "*"])
def test_what_is_no_model(model: str) -> None:
    """A text that could be taken for something other than a model's name never becomes an argument."""
    with pytest.raises(NotFound) as caught:
        arguments(["claude"], ProcessKind(model))
    assert caught.value.code == "model_not_found"


def test_a_sealed_process() -> None:
    """Without an agent the CLI has no tools and no settings, and may call only the client's tools."""
    given = arguments(["claude"], ProcessKind("opus"))
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
    """An agent has the tools, rules and settings that its entry names."""
    agent = Agent(("Read", "Bash"), "work", ("Read",), "acceptEdits", ("project",))
    given = arguments(["claude"], ProcessKind("opus", agent))
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
    """The CLI gets only what it needs of our environment; the variables that isolate it override that."""
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
    """An agent with its own settings may read the instructions in them."""
    name = "CLAUDE_CODE_DISABLE_CLAUDE_MDS"
    assert name in environment({}, {}, Agent((), "x"))
    assert name not in environment({}, {}, Agent((), "x", settings=("user",)))


def test_an_agent_has_the_clis_own_agents() -> None:
    """The CLI's own agents are switched off, except if an agent has tools."""
    name = "CLAUDE_AGENT_SDK_DISABLE_BUILTIN_AGENTS"
    assert name in environment({}, {})
    assert name not in environment({}, {}, Agent(("Agent",), "x"))


def test_where_an_agent_works(tmp_path: Path) -> None:
    """An agent works in its directory, which must exist; all others work in the private one."""
    assert working_directory(ProcessKind("m", Agent((), str(tmp_path)))) == tmp_path
    assert working_directory(ProcessKind("m")) == private_directory()
    with pytest.raises(BackendUnavailable, match="none' does not exist"):
        working_directory(ProcessKind("m", Agent((), str(tmp_path / "none"))))
