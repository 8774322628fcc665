"""The built-in model map."""

from __future__ import annotations

import pytest

from claude_max_proxy import Target
from claude_max_proxy.config import parse
from claude_max_proxy.models import resolve


CONFIG = parse(
    {
        "models": {
            "gpt-4o": "claude/opus",
            "gpt-*": "claude/sonnet",
            "gpt-4*": "claude/haiku",
            "*": "other/*",
            "local-*": "ollama/*",
            "*-fast": "fast/*-x-*",
            "a-*-b-*": "two/*",
            "dot.*": "dot/*",
            "cheap-*": {"to": "claude/haiku", "effort": "low", "max_tokens": 5, "system": "s"},
        },
        "backends": {name: {"type": "any"} for name in ("other", "ollama", "fast", "two", "dot")},
    },
    None,
)


@pytest.mark.parametrize(
    ("model", "backend", "upstream"),
    [
        ("claude-opus-4", "claude", "opus"),
        ("claude-sonnet-4", "claude", "sonnet"),
        ("claude-haiku-4", "claude", "haiku"),
        ("opus", "claude", "opus"),
        ("claude-code-cli/claude-opus-4", "claude", "opus"),
        ("claude-opus-4-1-20250805", "claude", "claude-opus-4-1-20250805"),
        ("gpt-4o", "claude", "opus"),
        ("gpt-4o-mini", "claude", "haiku"),
        ("gpt-5", "claude", "sonnet"),
        ("local-llama/3", "ollama", "llama/3"),
        ("so-fast", "fast", "so-x-so"),
        ("a-1-b-2", "two", "1"),
        ("dotty", "other", "dotty"),
        ("dot.x", "dot", "x"),
        ("new\nline", "other", "new\nline"),
    ],
)
def test_what_a_name_means(model: str, backend: str, upstream: str) -> None:
    """An exact name wins, then the most specific pattern, whose ``*`` is carried over."""
    assert Target(backend, upstream) == resolve(model, CONFIG)


def test_an_entry_brings_its_settings() -> None:
    """What an entry sets goes with its target."""
    assert Target("claude", "haiku", "low", 5, "s") == resolve("cheap-1", CONFIG)


def test_a_name_that_means_nothing() -> None:
    """A model that no line matches has no target."""
    assert resolve("gpt-4o", parse({}, None)) is None
    assert resolve("CLAUDE-opus-4", parse({}, None)) is None
