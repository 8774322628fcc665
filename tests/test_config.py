"""``proxy.toml``: what it may say, and what is said of what it may not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from claude_max_proxy import Config, ConfigError, ModelEntry, Settings
from claude_max_proxy.config import DEFAULT_MODELS, convert, load, near_miss, parse, quoted, split_policy


def written(path: Path, text: str) -> Path:
    """A ``proxy.toml`` with this text."""
    file = path / "proxy.toml"
    file.write_text(text, "utf-8")
    return file


def test_nothing_is_a_configuration(tmp_path: Path) -> None:
    """No file and an empty file give the same defaults."""
    empty = load(written(tmp_path, ""))
    assert load(None) == msgspec.structs.replace(empty, source=None)
    assert (empty.server.host, empty.server.port) == ("127.0.0.1", 3456)
    assert empty.backends == {"claude": {"type": "claude-cli"}}
    assert set(empty.models) == set(DEFAULT_MODELS)


def test_a_whole_file(tmp_path: Path) -> None:
    """Each table of a file is read, the long and the short form of a model alike."""
    file = written(
        tmp_path,
        """
        [server]
        port = 1
        api_keys = { me = "secret" }
        [models]
        "gpt-4o" = "claude/sonnet"
        "cheap-*" = { to = "claude/haiku", effort = "low", max_tokens = 9, system = "be brief" }
        [backends.other]
        type = "openai"
        base_url = "http://127.0.0.1:1"
        [plugins]
        paths = ["here"]
        [plugins.redact]
        words = ["x"]
        """,
    )
    config = load(file)
    assert config.source == file
    assert (config.server.port, config.server.api_keys) == (1, {"me": "secret"})
    assert config.models["gpt-4o"] == ModelEntry(to="claude/sonnet")
    assert config.models["cheap-*"] == ModelEntry(
        to="claude/haiku", effort="low", max_tokens=9, system="be brief"
    )
    assert config.backends["other"] == {"type": "openai", "base_url": "http://127.0.0.1:1"}
    assert (config.plugins.paths, config.plugins.tables) == (["here"], {"redact": {"words": ["x"]}})


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sever": {}}, "unknown table [sever]; did you mean 'server'?"),
        ({"zzz": {}}, "unknown table [zzz]; known here: backends, models, plugins, server"),
        ({"port": 1}, "unknown table [port]"),
        ({"server": 1}, "server: expected a table [server], got a value"),
        ({"server": {"prot": 1}}, "server: unknown key 'prot'; did you mean 'port'?"),
        ({"server": {"port": "x"}}, "server.port: expected `int`, got `str`"),
        ({"server": {"port": 65536}}, "server.port: expected `int` <= 65535"),
        ({"server": {"port": -1}}, "server.port: expected `int` >= 0"),
        ({"server": {"port": True}}, "server.port: expected `int`, got `bool`"),
        ({"server": {"keep_alive": 0}}, "server.keep_alive: expected `float` > 0.0"),
        ({"server": {"api_keys": {"me": 1}}}, "server.api_keys[...]: expected `str | object`, got `int`"),
        ({"server": {"api_keys": {"me": {}}}}, "server.api_keys[...]: object missing required field `key`"),
        ({"server": {"api_keys": {"me": {"key": ""}}}}, "server.api_keys[...].key: expected `str` of length"),
        (
            {"server": {"api_keys": {"me": {"key": "x", "requests_per_minute": 0}}}},
            "server.api_keys[...].req",
        ),
        ({"server": {"api_keys": {"me": ""}}}, "server.api_keys[...]: expected `str` of length >= 1"),
        ({"server": {"allowed_hosts": ["a", 1]}}, "server.allowed_hosts[1]: expected `str`, got `int`"),
        (
            {"models": {"x": {"to": "a/b", "fallback": "c/d"}}},
            "models.x.fallback: expected `array`, got `str`",
        ),
        ({"models": {"x": 5}}, "models.x: expected `object`, got `int`"),
        ({"models": {"x": {}}}, "models.x: object missing required field `to`"),
        ({"models": {"a/b": {"too": "a/b"}}}, "models.\"a/b\": unknown key 'too'; did you mean 'to'?"),
        ({"models": {"x": {"to": "a/b", "effort": "lots"}}}, "models.x.effort: invalid enum value 'lots'"),
        (
            {"models": {"x": {"to": "a/b", "effort": "hihg"}}},
            "models.x.effort: invalid enum value 'hihg'; did you mean 'high'?",
        ),
        (
            {"models": {"x": {"to": "a/b", "temperature": "on"}}},
            "models.x.temperature: invalid enum value 'on'; known here: auto, forward, ignore",
        ),
        ({"models": {"x": {"to": "a/b", "max_tokens": 0}}}, "models.x.max_tokens: expected `int` >= 1"),
        ({"backends": {"x": 1}}, "backends.x: expected a table, got int"),
        ({"backends": {"x": {}}}, 'backends.x: needs a type, as in type = "claude-cli"'),
        ({"backends": {"x": {"type": 1}}}, "backends.x: needs a type"),
        ({"plugins": {"path": ["x"]}}, "plugins: unknown key 'path'; did you mean 'paths'?"),
        ({"plugins": {"paths": "x"}}, "plugins.paths: expected `array`, got `str`"),
    ],
)
def test_mistakes(table: dict[str, Any], message: str) -> None:
    """A mistake is told with its whole path and, where something is close, what was meant."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        parse(table, None)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: .*No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[server\n", r"proxy\.toml is not valid TOML: .*line 1"),
        (b"a = 1\na = 2\n", "is not valid TOML"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes, message: str) -> None:
    """What is no TOML is told with the file and the place."""
    file = tmp_path / "proxy.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(file)


def test_the_defaults_can_be_changed() -> None:
    """A name that is built in means what the file says, and the others stay."""
    config = parse({"models": {"opus": "claude/claude-opus-9"}}, None)
    assert config.models["opus"].to == "claude/claude-opus-9"
    assert config.models["sonnet"].to == "claude/sonnet"


def test_the_claude_backend_needs_no_type() -> None:
    """``[backends.claude]`` may just set what it sets."""
    assert parse({"backends": {"claude": {"warm": 2}}}, None).backends["claude"] == {
        "warm": 2,
        "type": "claude-cli",
    }


class Inner(Settings, frozen=True):
    """A table in a plugin's table."""

    limit: int = 1


class Outer(Settings, frozen=True):
    """A plugin's table."""

    words: list[str] = []
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"word": []}, "plugins.x: unknown key 'word'; did you mean 'words'?"),
        ({"words": [1]}, "plugins.x.words[0]: expected `str`, got `int`"),
        ({"inner": {"limit": "1"}}, "plugins.x.inner.limit: expected `int`, got `str`"),
        ({"inner": {"limits": 1}}, "plugins.x.inner: unknown key 'limits'"),
        ([], "plugins.x: expected `object`, got `array`"),
    ],
)
def test_anybodys_table(value: Any, message: str) -> None:
    """A plugin's own table is as strict, and its errors name the path from the top."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        convert(value, Outer, "plugins.x")


def test_a_plugins_policy_is_apart() -> None:
    """What every plugin's table may say is taken out of it; the rest is the plugin's own."""
    policy, own = split_policy({"timeout": 2, "on_error": "fail", "words": ["x"]}, "plugins.x")
    assert (policy.enabled, policy.timeout, policy.on_error) == (True, 2.0, "fail")
    assert own == {"words": ["x"]}
    with pytest.raises(ConfigError, match=r"plugins\.x\.on_error: invalid enum value 'stop'"):
        split_policy({"on_error": "stop"}, "plugins.x")


def test_words_for_errors() -> None:
    """Keys are quoted as TOML needs it, and near misses are offered only where there are some."""
    assert (quoted("a-b_1"), quoted("a.b")) == ("a-b_1", '"a.b"')
    assert near_miss("prot", ["port"]) == "; did you mean 'port'?"
    assert near_miss("x", ["b", "a"]) == "; known here: a, b"
    assert near_miss("x", []) == ""


def test_a_configuration_is_a_value() -> None:
    """Two configurations that say the same are equal, and none changes."""
    config = parse({}, None)
    assert parse({}, None) == config
    with pytest.raises(AttributeError):
        config.source = Path("x")  # type: ignore[misc]
    assert isinstance(config, Config)


def test_words_of_no_field() -> None:
    """A value that is no table is told as it is, without a word of what it might be."""
    with pytest.raises(ConfigError, match=r"^a\.b: invalid enum value 'x'$"):
        convert("x", Literal["y"], "a.b")
