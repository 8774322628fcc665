"""What is known about the installed CLI."""

from __future__ import annotations

import pytest

from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.backends.claude_cli.installation import Installation, check_version
from claude_max_proxy.backends.claude_cli.protocol import Account, Initialized, ModelUsage, OfferedModel
from claude_max_proxy.errors import BackendUnavailable


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.1.197 (Claude Code)", "2.1.197"),
        ("warning: x\n2.1.330 (Claude Code)\n", "2.1.330"),
        ("2.1.100", "2.1.100"),
        ("10.0.0", "10.0.0"),
    ],
)
def test_versions(text: str, version: str) -> None:
    """A version that is new enough is found in the CLI's output."""
    assert version == check_version(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2.1.99 (Claude Code)", r"2\.1\.99 is too old; this proxy needs 2\.1\.100"),
        ("1.9.999", "too old"),
        ("", "not the Claude Code CLI"),
        ("hello", "not the Claude Code CLI: it answers --version with 'hello'"),
    ],
)
def test_what_is_too_old_or_something_else(text: str, words: str) -> None:
    """An old CLI, or another program, is refused with what to do."""
    with pytest.raises(BackendUnavailable, match=words):
        check_version(text)


OPUS = OfferedModel("opus", "claude-opus-4-7", supports_effort=True, efforts=["low", "high"])
LONG = OfferedModel("sonnet[1m]", "claude-sonnet-4-6[1m]")


def installation() -> Installation:
    """Return a CLI that has introduced itself."""
    known = Installation()
    known.learn_models(Initialized(Account("CLAUDE_CODE_OAUTH_TOKEN", "none", "max"), [OPUS, LONG]))
    known.learn_usages({"claude-opus-4-7": ModelUsage(200_000, 32_000)})
    return known


def test_nothing_is_known_at_first() -> None:
    """Before the CLI introduces itself a model is just its name."""
    assert Installation().describe("opus") == ModelInfo(
        "opus", input_modalities=("text", "image"), owner="anthropic"
    )
    assert Installation().health() == {}


@pytest.mark.parametrize("name", ["opus", "claude-opus-4-7"])
def test_a_model_by_either_name(name: str) -> None:
    """What the CLI offers and has used is known of a model, by its alias or its full name."""
    assert installation().describe(name) == ModelInfo(
        "claude-opus-4-7",
        200_000,
        32_000,
        ("text", "image"),
        reasoning=True,
        efforts=("low", "high"),
        owner="anthropic",
    )


def test_a_model_that_is_only_offered_long() -> None:
    """A model with a long context is found by its short name."""
    assert installation().describe("sonnet").name == "claude-sonnet-4-6[1m]"


@pytest.mark.parametrize(
    ("account", "logged_in", "words"),
    [
        (Account("CLAUDE_CODE_OAUTH_TOKEN", "none", "max"), True, "CLAUDE_CODE_OAUTH_TOKEN (max)"),
        (Account("", "ANTHROPIC_API_KEY"), True, "ANTHROPIC_API_KEY"),
        (Account("none", "none"), False, "not logged in"),
        (Account(), False, "not logged in"),
    ],
)
def test_the_login(account: Account, logged_in: bool, words: str) -> None:
    """The kind of login is shown, or that there is none; never the login itself."""
    known = Installation(version="2.1.330")
    known.learn_models(Initialized(account))
    assert known.logged_in is logged_in
    assert known.health()["login"].endswith(words)
    assert known.health()["version"] == "2.1.330"
