"""The commands `config show`, `schema` and `init`: what is in force, and what can be written."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import DEFAULT_MODELS
from tests.cli.configuring.written import SECRET, SETTINGS, run, written


ROOT = Path(__file__).parents[3]


def shown(file: Path) -> tuple[str, dict[str, Any]]:
    """Return what is shown, as text and parsed as TOML."""
    output = run("show", "-c", str(file)).output
    return output, tomllib.loads(output)


def test_the_defaults_are_shown(tmp_path: Path) -> None:
    """For an empty file every setting is shown with its default, marked as such."""
    output, table = shown(written(tmp_path, ""))
    assert table["server"]["port"] == 3456
    assert table["models"] == DEFAULT_MODELS
    assert "port = 3456  # default" in output
    assert 'opus = "claude/opus"  # built in' in output


def test_where_values_come_from(tmp_path: Path) -> None:
    """Each value says whether it comes from the file; the whole is TOML that means the same."""
    file = written(
        tmp_path,
        """
        [server]
        port = 4000
        [models]
        opus = "sonnet"
        "we.ird \\"name\\"\\n" = { to = "opus", fallback = ["haiku"], hidden = true, system = "two\\nlines" }
        [backends."my.backend"]
        type = "scripted"
        status = "degraded"
        [plugins.say]
        words = ["a", "b"]
        timeout = 1
        """,
        say=SETTINGS,
    )
    output, table = shown(file)
    for line in (f"port = 4000  # {file}", f'opus = "sonnet"  # {file}', 'host = "127.0.0.1"  # default'):
        assert line in output.splitlines()
    assert table["models"]['we.ird "name"\n'] == {
        "to": "opus",
        "fallback": ["haiku"],
        "hidden": True,
        "system": "two\nlines",
    }
    assert table["backends"]["my.backend"] == {"type": "scripted", "status": "degraded"}
    assert table["plugins"]["say"]["words"] == ["a", "b"]
    assert table["plugins"]["say"]["timeout"] == 1.0
    assert f'status = "degraded"  # {file}' in output


def test_secrets_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret is shown, wherever it is, but the place where a secret is kept is shown."""
    monkeypatch.setenv("A_KEY", SECRET)
    file = written(
        tmp_path,
        f"""
        [server]
        tls_key = "key.pem"
        api_keys = {{ a = "{SECRET}", b = {{ key = "{SECRET}", models = ["opus"] }}, c = "env:A_KEY" }}
        [models]
        secret-model = "opus"
        [backends.cli]
        type = "claude-cli"
        env = {{ HTTPS_PROXY = "http://me:{SECRET}@proxy", ANTHROPIC_AUTH_TOKEN = "{SECRET}" }}
        [plugins.say]
        api_token = "{SECRET}"
        """,
        say=SETTINGS,
    )
    output, table = shown(file)
    assert SECRET not in output
    assert table["server"]["api_keys"]["b"]["models"] == ["opus"]
    assert table["server"]["api_keys"]["c"] == "env:A_KEY"
    assert table["server"]["tls_key"] == "key.pem"
    assert table["models"]["secret-model"] == "opus"
    assert set(table["backends"]["cli"]["env"]) == {"HTTPS_PROXY", "ANTHROPIC_AUTH_TOKEN"}


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """A validator for the schema that is printed."""
    schema = json.loads(run("schema").output)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_what_is_described() -> None:
    """Every key of every table has a description, also in the tables of the built-in plugins."""
    schema = json.loads(run("schema").output)
    plugins = schema["properties"]["plugins"]
    open_ = plugins["additionalProperties"]
    for table in (*schema["$defs"].values(), plugins, plugins["properties"]["openai_responses"], open_):
        for name, key in table["properties"].items():
            assert key["description"] or name == "openai_responses"
    assert plugins["properties"]["paths"]["default"] == ["plugins"]
    assert schema["$defs"]["ServerConfig"]["properties"]["port"]["description"].startswith("The port")


@pytest.mark.parametrize("commented", [True, False])
def test_the_shipped_file_fits(validator: jsonschema.Draft202012Validator, commented: bool) -> None:
    """The annotated ``proxy.toml`` is valid by the schema, with its keys commented out and without."""
    text = (ROOT / "proxy.toml").read_text("utf-8")
    validator.validate(tomllib.loads(text if commented else re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)))


@pytest.mark.parametrize(
    ("table", "fits"),
    [
        ({}, True),
        ({"server": {"api_keys": {"a": "x", "b": {"key": "y", "models": ["gpt-*"]}}}}, True),
        ({"server": {"prot": 1}}, False),
        ({"server": {"port": 70_000}}, False),
        ({"sever": {}}, False),
        ({"models": {"x": "claude/opus", "y": {"to": "x", "fallback": ["opus"], "hidden": True}}}, True),
        ({"models": {"x": {"too": "claude/opus"}}}, False),
        ({"models": {"x": {"to": "opus", "effort": "lots"}}}, False),
        ({"backends": {"claude": {"warm": 2}}}, True),
        ({"backends": {"claude": {"wram": 2}}}, False),
        ({"backends": {"mine": {"type": "echo", "anything": 1}}}, True),
        ({"backends": {"mine": {"type": "claude-cli", "anything": 1}}}, False),
        ({"plugins": {"paths": ["x"], "order": [], "mine": {"timeout": 1, "anything": 1}}}, True),
        ({"plugins": {"mine": {"on_error": "stop"}}}, False),
        ({"plugins": {"openai_responses": {"store": False, "timeout": 1}}}, True),
        ({"plugins": {"openai_responses": {"stored": False}}}, False),
    ],
)
def test_what_fits(validator: jsonschema.Draft202012Validator, table: dict[str, Any], fits: bool) -> None:
    """The schema accepts what the proxy accepts, also unknown backends and plugins, and finds mistakes."""
    assert validator.is_valid(table) is fits


def test_a_new_file(tmp_path: Path) -> None:
    """``init`` writes the annotated file, and that file can be used."""
    file = tmp_path / "proxy.toml"
    assert str(file) in run("init", str(file)).output
    assert file.read_text("utf-8") == (ROOT / "proxy.toml").read_text("utf-8")
    assert "ok: " in run("check", "-c", str(file)).output


def test_a_file_that_is_there(tmp_path: Path) -> None:
    """``init`` overwrites nothing."""
    file = tmp_path / "proxy.toml"
    file.write_text("precious")
    with pytest.raises(ConfigError, match="already exists"):
        run("init", str(file))
    assert file.read_text() == "precious"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """If the file cannot be written, the error is one sentence."""
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        run("init", str(tmp_path / "none" / "proxy.toml"))
