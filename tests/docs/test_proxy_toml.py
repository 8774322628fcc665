"""The annotated ``proxy.toml``: it contains all defaults and nothing else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.cli.annotated import annotated
from claude_max_proxy.config import (
    DEFAULT_MODELS,
    Config,
    ModelEntry,
    PluginPolicy,
    PluginsConfig,
    ServerConfig,
    convert,
    parse,
)
from claude_max_proxy.config.descriptions import settings_of


TEXT = (Path(__file__).parents[2] / "proxy.toml").read_text("utf-8")
UNCOMMENTED = re.sub(r"^#(?! )", "", TEXT, flags=re.MULTILINE)


def loaded(text: str) -> Config:
    """Read a file's text as the proxy does."""
    return parse(tomllib.loads(text), None)


def backend(config: Config) -> ClaudeCliSettings:
    """Return the CLI backend's settings."""
    table: dict[str, Any] = {**config.backends["claude"]}
    assert table.pop("type") == "claude-cli"
    return convert(table, ClaudeCliSettings, "backends.claude")


@pytest.mark.parametrize("text", [TEXT, UNCOMMENTED], ids=["as it is", "uncommented"])
def test_says_the_defaults(text: str) -> None:
    """The file changes nothing, with its keys commented out and without."""
    config, defaults = loaded(text), parse({}, None)
    assert config.server == defaults.server
    assert config.models == defaults.models
    assert config.plugins == defaults.plugins
    assert backend(config) == ClaudeCliSettings()


def test_is_up_to_date() -> None:
    """The file contains the settings' own descriptions; ``make docs`` updates it."""
    assert annotated() == TEXT
    assert "\n#port = 3456\n" in TEXT
    assert "\n#max_body_bytes = 100_000_000\n" in TEXT


def test_describes_every_key() -> None:
    """Each setting's description is in a comment before it."""
    text = " ".join(line.removeprefix("# ") for line in TEXT.splitlines())
    for struct in (ServerConfig, ClaudeCliSettings, PluginsConfig):
        for one in settings_of(struct):
            assert one.name == "tables" or f"{one.description} #{one.name} = " in text
    text = " ".join(line.removeprefix("#").strip() for line in TEXT.splitlines())
    for inner in (ModelEntry, PluginPolicy):
        for one in settings_of(inner):
            assert f"{one.name} ({one.written_default}): {one.description}" in text


def test_names_every_key() -> None:
    """No key is missing from the file."""
    table = tomllib.loads(UNCOMMENTED)
    assert set(table["server"]) == set(ServerConfig.__struct_fields__)
    assert set(table["models"]) == set(DEFAULT_MODELS)
    assert set(table["backends"]["claude"]) == {"type", *ClaudeCliSettings.__struct_fields__}
    assert set(table["plugins"]) == set(PluginsConfig.__struct_fields__) - {"tables"}


def test_every_key_is_a_comment() -> None:
    """Unchanged, the file sets nothing, so that a new default takes effect in spite of it."""
    tables = tomllib.loads(TEXT)
    assert tables == {"server": {}, "shared": {}, "models": {}, "backends": {"claude": {}}, "plugins": {}}
