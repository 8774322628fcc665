"""``proxy.toml``: what it may contain, and the messages for what it may not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from claude_max_proxy import Config, ConfigError, ModelEntry, Settings
from claude_max_proxy.config import (
    DEFAULT_MODELS,
    convert,
    holds_nothing,
    load,
    near_miss,
    parse,
    quoted,
    split_policy,
)


def written(path: Path, text: str) -> Path:
    """Return a ``proxy.toml`` with this text."""
    file = path / "proxy.toml"
    file.write_text(text, "utf-8")
    return file


def test_nothing_is_a_configuration(tmp_path: Path) -> None:
    """No file and an empty file lead to the same defaults."""
    empty = load(written(tmp_path, ""))
    assert load(None) == msgspec.structs.replace(empty, source=None)
    assert (empty.server.host, empty.server.port) == ("127.0.0.1", 3456)
    assert empty.backends == {"claude": {"type": "claude-cli"}}
    assert set(empty.models) == set(DEFAULT_MODELS)


def test_a_whole_file(tmp_path: Path) -> None:
    """Each table of a file is read; a model may have the long or the short form."""
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
        ({"port": 1}, "port: put it under [server]"),
        ({"api_keys": {"me": "x"}}, "api_keys: put it under [server], as in [server.api_keys]"),
        ({"paths": []}, "paths: put it under [plugins]"),
        ({"prot": 1}, "prot: unknown key outside of any table; did you mean 'port', under [server]?"),
        ({"zzz": 1}, "zzz: unknown key outside of any table; known here: backends, models, plugins, server"),
        ({"models": {"port": 1}}, "models.port: put it under [server]"),
        ({"backends": {"port": 1}}, "backends.port: put it under [server]"),
        ({"server": 1}, "server: expected a table [server], got a value"),
        ({"server": {"prot": 1}}, "server: unknown key 'prot'; did you mean 'port'?"),
        ({"server": {"port": "x"}}, "server.port: expected `int`, got `str`"),
        ({"server": {"port": 65536}}, "server.port: expected `int` <= 65535"),
        ({"server": {"port": -1}}, "server.port: expected `int` >= 0"),
        ({"server": {"port": True}}, "server.port: expected `int`, got `bool`"),
        ({"server": {"keep_alive": 0}}, "server.keep_alive: expected `float` > 0.0"),
        ({"server": {"api_keys": {"me": 1}}}, "server.api_keys.me: expected `str | object`, got `int`"),
        ({"server": {"api_keys": {"me": {}}}}, "server.api_keys.me: object missing required field `key`"),
        ({"server": {"api_keys": {"me": {"key": ""}}}}, "server.api_keys.me.key: expected `str` of length"),
        (
            {"server": {"api_keys": {"me": {"key": "x", "requests_per_minute": 0}}}},
            "server.api_keys.me.req",
        ),
        ({"server": {"api_keys": {"me": ""}}}, "server.api_keys.me: expected `str` of length >= 1"),
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
    """A mistake is reported with its whole path and, if a known name is close, with that."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        parse(table, None)


def test_all_mistakes_at_once() -> None:
    """The mistakes of all tables are reported in one error, together with the rest of the configuration."""
    with pytest.raises(ConfigError) as caught:
        parse(
            {
                "prot": 1,
                "server": {
                    "prot": 1,
                    "port": "x",
                    "allowed_hosts": [1, "a", 2],
                    "api_keys": {"a": 1, "b": ""},
                },
                "models": {"x": {"too": "y", "effort": "lots"}, "y": {"to": "opus"}},
                "backends": {"b": 1, "c": {}},
                "plugins": {"path": [], "order": 1, "mine": {"words": []}},
            },
            None,
        )
    assert [message.partition(";")[0] for message in caught.value.messages] == [
        "prot: unknown key outside of any table",
        "server: unknown key 'prot'",
        "server.port: expected `int`, got `str`",
        "server.allowed_hosts[0]: expected `str`, got `int`",
        "server.allowed_hosts[2]: expected `str`, got `int`",
        "server.api_keys.a: expected `str | object`, got `int`",
        "server.api_keys.b: expected `str` of length >= 1",
        "models.x: unknown key 'too'",
        "models.x: object missing required field `to`",
        "models.x.effort: invalid enum value 'lots'",
        "backends.b: expected a table, got int",
        'backends.c: needs a type, as in type = "claude-cli"',
        "plugins: unknown key 'path'",
        "plugins.order: expected `array`, got `int`",
    ]
    assert isinstance(caught.value.rest, Config)
    assert caught.value.rest.models["y"] == ModelEntry(to="opus")
    assert caught.value.rest.plugins.tables == {"mine": {"words": []}}


def test_more_mistakes_than_anybody_reads() -> None:
    """Of very many mistakes only the first are reported, and their number."""
    with pytest.raises(ConfigError) as caught:
        parse({"models": {f"m{number}": 1 for number in range(60)}}, None)
    assert len(caught.value.messages) == 60
    assert str(caught.value).splitlines()[50:] == ["… and 10 more mistakes"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (os.mkfifo, "it is a FIFO, not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a regular file"),
        (Path.mkdir, "it is a directory, not a regular file"),
        (lambda path: path.write_bytes(b"#" * 1_000_001), "it is larger than 1,000,000 bytes"),
    ],
)
def test_what_is_no_file_of_ours(tmp_path: Path, put: Callable[[Path], object], reason: str) -> None:
    """A file that never ends is refused at once, and does not count as an emptied file."""
    path = tmp_path / "proxy.toml"
    put(path)
    with pytest.raises(ConfigError, match=re.escape(f"{path}: cannot be read: {reason}")):
        load(path)
    assert not holds_nothing(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[server\n", r"/proxy\.toml:1: not valid TOML, column 8: expected ']'"),
        (b"a = 1\na = 2\n", r"/proxy\.toml:2: not valid TOML"),
        (b"a = 1\n[b]\nc = '", r"/proxy\.toml:3: not valid TOML"),
        (b"\xff\xfe", r"/proxy\.toml: cannot be read"),
    ],
)
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes, message: str) -> None:
    """A text that is not TOML is reported with the file and the place."""
    file = tmp_path / "proxy.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load(file)


def test_the_defaults_can_be_changed() -> None:
    """A built-in name means what the file says, and the others keep their meaning."""
    config = parse({"models": {"opus": "claude/claude-opus-9"}}, None)
    assert config.models["opus"].to == "claude/claude-opus-9"
    assert config.models["sonnet"].to == "claude/sonnet"


def test_the_claude_backend_needs_no_type() -> None:
    """``[backends.claude]`` may consist of settings alone, without a type."""
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
    """A plugin's own table is checked as strictly, and its errors name the whole path."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        convert(value, Outer, "plugins.x")


def test_a_plugins_policy_is_apart() -> None:
    """The settings that every plugin's table may have are taken out of it; the plugin gets the rest."""
    policy, own = split_policy({"timeout": 2, "on_error": "fail", "words": ["x"]}, "plugins.x")
    assert (policy.enabled, policy.timeout, policy.on_error) == (True, 2.0, "fail")
    assert own == {"words": ["x"]}
    with pytest.raises(ConfigError, match=r"plugins\.x\.on_error: invalid enum value 'stop'"):
        split_policy({"on_error": "stop"}, "plugins.x")


def test_words_for_errors() -> None:
    """Keys are quoted as TOML requires, and a near miss is suggested only if there is one."""
    assert (quoted("a-b_1"), quoted("a.b")) == ("a-b_1", '"a.b"')
    assert near_miss("prot", ["port"]) == "; did you mean 'port'?"
    assert near_miss("x", ["b", "a"]) == "; known here: a, b"
    assert near_miss("x", []) == ""


def test_a_configuration_is_a_value() -> None:
    """Two configurations that say the same are equal, and none can be changed."""
    config = parse({}, None)
    assert parse({}, None) == config
    with pytest.raises(AttributeError):
        config.source = Path("x")  # type: ignore[misc]
    assert isinstance(config, Config)


def test_words_of_no_field() -> None:
    """A value instead of a table is reported alone, with the word that may be meant."""
    with pytest.raises(ConfigError, match=r"^a\.b: invalid enum value 'x'; known here: y$"):
        convert("x", Literal["y"], "a.b")  # type: ignore[arg-type]
