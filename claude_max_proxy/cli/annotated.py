"""Makes the annotated ``proxy.toml``: every setting is a comment with its description and its default."""

from __future__ import annotations

from collections.abc import Iterable

from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.cli.paragraphs import wrapped
from claude_max_proxy.config import (
    DEFAULT_MODELS,
    BackendTable,
    ModelEntry,
    PluginPolicy,
    PluginsConfig,
    ServerConfig,
    SharedConfig,
    quoted,
)
from claude_max_proxy.config.descriptions import Setting, settings_of
from claude_max_proxy.config.toml_text import inline


_WIDTH = 110
_LONG = 10_000
_HEAD = """\
# Everything that claude-max-proxy can be told. A line that begins with `#` and no space is a setting with its
# default, so this file changes nothing as it is. To change a setting, remove its `#` and write another value.
# A misspelt key is an error that says where it is and what was probably meant.
#
# The proxy looks for ./proxy.toml, and then for one in your configuration directory; --config names another.
# `claude-max-proxy config explain NAME` says what a setting means and which value it has now.
"""
_MODELS = """\
# Which model answers to which name: NAME = "BACKEND/MODEL", or another name of this table. A `*` in a name
# matches any text, and a `*` on the right stands for that text; the most specific name wins. A table in the
# place of the text sets more:
#   "cheap-*" = { to = "claude/haiku", effort = "low", max_tokens = 2000, system = "Be brief." }
#   best = { to = "opus", fallback = ["sonnet", "claude/haiku"], hidden = true }
# Its keys are:
"""
_BACKENDS = """\
# Further backends are tables of their own, such as [backends.ollama] with type = "openai". Their settings are
# in docs/configuration.md; `claude-max-proxy config explain backends` also lists them.
"""
_PLUGINS = """\
# A plugin's own table is [plugins.NAME]. In addition to the plugin's own settings it may hold:
"""


def annotated() -> str:
    """Return the text of the file."""
    type_ = Setting("type", settings_of(BackendTable)[0].description, "string", "claude-cli")
    plugins = [one for one in settings_of(PluginsConfig) if one.name != "tables"]
    models = "".join(f"#{quoted(name)} = {inline(to)}\n" for name, to in DEFAULT_MODELS.items())
    parts = [
        _HEAD,
        _table("server", settings_of(ServerConfig)),
        _table("shared", settings_of(SharedConfig)),
        f"[models]\n\n{_MODELS}{_keys(settings_of(ModelEntry))}\n{models}",
        f"{_table('backends.claude', [type_, *settings_of(ClaudeCliSettings)])}\n{_BACKENDS}",
        f"{_table('plugins', plugins)}\n{_PLUGINS}{_keys(settings_of(PluginPolicy))}",
    ]
    return "\n\n".join(parts)


def _table(name: str, settings: Iterable[Setting]) -> str:
    entries = (f"{wrapped(one.description, _WIDTH, '# ')}#{one.name} = {_default(one)}\n" for one in settings)
    return f"[{name}]\n\n" + "\n".join(entries)


def _keys(settings: Iterable[Setting]) -> str:
    """Return keys that belong to no table here, indented, so that nobody takes them for settings."""
    texts = (f"{one.name} ({one.written_default}): {one.description}" for one in settings)
    return "".join(wrapped(text, _WIDTH, "#   ", "#     ") for text in texts)


def _default(one: Setting) -> str:
    """Return a default in TOML; long numbers get underscores."""
    long = type(one.default) is int and one.default >= _LONG
    return f"{one.default:_}" if long else one.written_default
