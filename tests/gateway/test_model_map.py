"""The built-in model map."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy import Target
from claude_max_proxy.config import parse
from claude_max_proxy.formats.patterns import matches
from claude_max_proxy.gateway.model_map import expected, meaning, resolve


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
    """The settings of an entry are part of its target."""
    assert Target("claude", "haiku", "low", 5, "s") == resolve("cheap-1", CONFIG)


def test_a_name_that_means_nothing() -> None:
    """A model that no line matches has no target."""
    assert resolve("gpt-4o", parse({}, None)) is None
    assert resolve("CLAUDE-opus-4", parse({}, None)) is None


def meant(models: dict[str, Any], name: str) -> Target | None:
    """Return what a name means by these lines alone, if the backends are ``a`` and ``b``."""
    backends = {"a": {"type": "any"}, "b": {"type": "any"}}
    return resolve(name, parse({"models": models, "backends": backends}, None))


@pytest.mark.parametrize(
    ("models", "name", "target"),
    [
        ({"x": "y", "y": "a/one"}, "x", Target("a", "one")),
        ({"x": "y", "y": "z", "z": "a/one"}, "x", Target("a", "one")),
        ({"x": "y-1", "y-*": "a/big-*"}, "x", Target("a", "big-1")),
        ({"x-*": "y-*", "y-*": "a/*"}, "x-1", Target("a", "1")),
        ({"x/y": "a/one", "z": "x/y"}, "z", Target("a", "one")),
        ({"a/one": "b/two", "z": "a/one"}, "z", Target("b", "two")),
        ({"*": "y", "y": "a/one"}, "anything", Target("a", "one")),
    ],
)
def test_aliases_of_aliases(models: dict[str, Any], name: str, target: Target) -> None:
    """A target may be another name or match a pattern, repeatedly; a name wins over a backend's model."""
    assert meant(models, name) == target


def test_settings_of_aliases() -> None:
    """An alias inherits what it does not set itself; instructions are joined, its own first."""
    models = {
        "x": {"to": "y", "effort": "high", "system": "First."},
        "y": {"to": "a/one", "effort": "low", "max_tokens": 5, "system": "Then.", "fallback": ["b/two"]},
    }
    assert meant(models, "x") == Target(
        "a", "one", "high", 5, "First.\n\nThen.", fallback=(Target("b", "two"),)
    )


def test_fallbacks_of_aliases() -> None:
    """Fallbacks may be names and patterns, use the ``*``, and replace those of the name before."""
    models = {
        "x": {"to": "y", "fallback": ["cheap"]},
        "y": {"to": "a/one", "fallback": ["b/two"]},
        "cheap": {"to": "b/three", "effort": "low", "fallback": ["a/four"]},
        "any-*": {"to": "a/*", "fallback": ["b/*", "b/last"]},
    }
    assert meant(models, "x") == Target("a", "one", fallback=(Target("b", "three", "low"),))
    assert meant(models, "any-1") == Target("a", "1", fallback=(Target("b", "1"), Target("b", "last")))


def test_two_for_each_other() -> None:
    """Two names may each be the other's fallback: that is not a cycle."""
    models = {"x": {"to": "a/one", "fallback": ["y"]}, "y": {"to": "b/two", "fallback": ["x"]}}
    assert meant(models, "x") == Target("a", "one", fallback=(Target("b", "two"),))
    assert meant(models, "y") == Target("b", "two", fallback=(Target("a", "one"),))


def test_a_pattern_is_no_name() -> None:
    """A client cannot ask for a pattern by writing the pattern itself."""
    assert meant({"x-*": "a/*"}, "x-*") is None
    assert resolve("claude-*", parse({}, None)) is None


def test_what_a_line_means() -> None:
    """A line can be looked up by its own name, a pattern by its text, whatever else would match that."""
    models = {"x-*": "y-*", "y-*": "a/*", "*-*": "b/other"}
    config = parse({"models": models, "backends": {"a": {"type": "any"}, "b": {"type": "any"}}}, None)
    assert meaning("x-*", config) == Target("a", "*")
    assert meaning("opus", config) == Target("claude", "opus")


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("x", "x", True),
        ("x", "xx", False),
        ("x*", "x", True),
        ("x*z", "xyz", True),
        ("*.5", "gpt-4.5", True),
        ("*.5", "gpt-4x5", False),
        ("*", "a/b\nc", True),
        ("x", "", False),
    ],
)
def test_patterns(pattern: str, name: str, fits: bool) -> None:
    """A ``*`` is any text, also an empty one; every other character matches itself."""
    assert matches(pattern, name) is fits


@pytest.mark.parametrize(
    ("patterns", "winner"),
    [
        (["*", "gpt-*"], "gpt-*"),
        (["gpt-*", "gpt-4*"], "gpt-4*"),
        (["*-*", "gp*"], "gp*"),
        (["*4*o*", "g*4o"], "g*4o"),
        (["gpt-4o*", "gpt-4*o"], "gpt-4*o"),
        (["g*-4o", "*gpt-4o*"], "*gpt-4o*"),
    ],
)
def test_the_most_specific_pattern(patterns: list[str], winner: str) -> None:
    """Of the patterns that match, the one with the most text apart from ``*`` wins, in any order."""
    for order in (patterns, patterns[::-1]):
        models = {pattern: "a/one" if pattern == winner else "b/two" for pattern in order}
        assert meant(models, "gpt-4o") == Target("a", "one")


def test_what_backends_may_expect() -> None:
    """Each backend learns which of its models can be asked for, also by aliases, patterns and fallbacks."""
    models = {"a": "one/x", "b": "a", "c-*": "one/*-y", "d": {"to": "two/z", "fallback": ["c-1"]}}
    config = parse(
        {"models": models, "backends": {name: {"type": "any"} for name in ("one", "two", "none")}}, None
    )
    found = expected(config)
    assert (found["one"], found["two"]) == ({"x", "*-y", "1-y"}, {"z"})
    assert "none" not in found
