"""Reads ``proxy.toml`` and its sections. The owners of other tables convert those themselves."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from claude_max_proxy.config.converting import convert, quoted
from claude_max_proxy.config.locating import located
from claude_max_proxy.config.near_misses import closest, near_miss
from claude_max_proxy.config.problems import Problems
from claude_max_proxy.config.regular_file import LARGEST_TEXT, read_regular
from claude_max_proxy.config.safe_files import refuse_if_writable_by_others
from claude_max_proxy.config.server_config import ServerConfig
from claude_max_proxy.config.settings import Settings
from claude_max_proxy.config.shared_config import SharedConfig
from claude_max_proxy.config.structs import Config, ModelEntry, PluginPolicy, PluginsConfig
from claude_max_proxy.errors import ConfigError


DEFAULT_MODELS = {
    "claude-opus-4": "claude/opus",
    "claude-sonnet-4": "claude/sonnet",
    "claude-haiku-4": "claude/haiku",
    "opus": "claude/opus",
    "sonnet": "claude/sonnet",
    "haiku": "claude/haiku",
    "claude-code-cli/claude-opus-4": "claude/opus",
    "claude-code-cli/claude-sonnet-4": "claude/sonnet",
    "claude-code-cli/claude-haiku-4": "claude/haiku",
    "claude-*": "claude/claude-*",
}
_SECTIONS = ("server", "shared", "models", "backends", "plugins")
_Table = TypeVar("_Table", bound=Settings)
_POLICY_KEYS = frozenset(PluginPolicy.__struct_fields__)
# Keys that many tables may have.
_AMBIGUOUS = {"url"}
# The table that each key belongs to. Tables whose keys are names that the user chooses are left out.
_HOMES = {
    **dict.fromkeys(ServerConfig.__struct_fields__, "server"),
    **dict.fromkeys(set(SharedConfig.__struct_fields__) - _AMBIGUOUS, "shared"),
    **{key: "plugins" for key in PluginsConfig.__struct_fields__ if key != "tables"},
}
_TOML_LINE = re.compile(r" \(at line (?P<line>\d+), (?P<column>column \d+)\)$")
# Stand-ins for a broken model or backend, so that what refers to it is not reported as well.
_ANY_MODEL, _ANY_BACKEND = ModelEntry(to="claude/sonnet"), {"type": "claude-cli"}


def load(path: Path | None) -> Config:
    """Return the configuration in the file ``path``, or the defaults for ``None``.

    Raises :class:`ConfigError` if the file is missing, is not TOML, or contains something unknown, with the
    line of each mistake. It also raises it if another user could write the file, since the file names
    commands that run as us.
    """
    if path is None:
        return parse({}, None)

    try:
        refuse_if_writable_by_others(path, str(path))
        text = read_text(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also for numbers and nesting beyond Python's limits
        raise ConfigError(f"{path}{_not_toml(str(error), text)}") from error
    with located(path):
        return parse(table, path)


def _not_toml(problem: str, text: str) -> str:
    """Return where and why a text is not TOML, in the words of the parser."""
    at = _TOML_LINE.search(problem)
    line, column = (at["line"], f", {at['column']}") if at else (text.count("\n") + 1, "")
    reason = _TOML_LINE.sub("", problem)
    return f":{line}: not valid TOML{column}: {reason[:1].lower()}{reason[1:]}"


def read_text(path: Path) -> str:
    """Return the text of a ``proxy.toml``, without ever waiting.

    Raises ``OSError`` if the file cannot be read, is no regular file or is too large, and
    ``UnicodeDecodeError`` if it is not UTF-8.
    """
    return read_regular(path, LARGEST_TEXT).decode()


def read_table(path: Path | None) -> dict[str, Any]:
    """Return the tables of a ``proxy.toml``, unchecked; without a file there are none.

    Raises what :func:`read_text` raises, and ``ValueError`` or ``RecursionError`` if it is not TOML.
    """
    return tomllib.loads(read_text(path)) if path is not None else {}


def holds_nothing(path: Path | None) -> bool:
    """Return whether ``path`` is a file without any key, such as a file that was emptied."""
    try:
        return path is not None and not read_table(path)
    except (OSError, ValueError, RecursionError):  # :func:`load` reports these
        return False


def parse(table: dict[str, Any], source: Path | None) -> Config:
    """Convert a table into a :class:`Config` with defaults.

    Raises :class:`ConfigError` for all that is wrong; its ``rest`` is a :class:`Config` without that.
    """
    problems = Problems()
    sections: dict[str, dict[str, Any]] = {name: {} for name in _SECTIONS}
    for name, value in table.items():
        with problems.collected():
            _check_section(name, value)
            sections[name] = value
    config = Config(
        server=_fixed(sections["server"], ServerConfig, "server", problems),
        shared=_fixed(sections["shared"], SharedConfig, "shared", problems),
        models={
            name: _model(name, entry, problems)
            for name, entry in (DEFAULT_MODELS | sections["models"]).items()
        },
        backends=_backends(sections["backends"], problems),
        plugins=_plugins(sections["plugins"], problems),
        source=source,
    )
    if problems.messages:
        raise ConfigError(*problems.messages, rest=config)
    return config


def _check_section(name: str, value: Any) -> None:
    """Raise :class:`ConfigError` for an unknown table; for a key of a known table, the message names it."""
    if name in _SECTIONS:
        if not isinstance(value, dict):
            raise ConfigError(f"{name}: expected a table [{name}], got a value")
    elif home := _HOMES.get(name):
        example = f", as in [{home}.{name}]" if isinstance(value, dict) else ""
        raise ConfigError(f"{name}: put it under [{home}]{example}")
    elif isinstance(value, dict):
        raise ConfigError(f"unknown table [{name}]{near_miss(name, _SECTIONS)}")
    else:
        key = closest(name, _HOMES)
        meant = f"; did you mean {key!r}, under [{_HOMES[key]}]?" if key else near_miss(name, _SECTIONS)
        raise ConfigError(f"{quoted(name)}: unknown key outside of any table{meant}")


def _fixed(table: dict[str, Any], struct: type[_Table], path: str, problems: Problems) -> _Table:
    """Return a table that exists once and has a default for every key."""
    with problems.collected():
        return convert(table, struct, path)

    return struct()


def _model(name: str, entry: Any, problems: Problems) -> ModelEntry:
    path = f"models.{quoted(name)}"
    with problems.collected():
        if not isinstance(entry, str | dict) and name in _HOMES:
            raise ConfigError(f"{path}: put it under [{_HOMES[name]}]")
        return convert({"to": entry} if isinstance(entry, str) else entry, ModelEntry, path)

    return _ANY_MODEL


def _backends(table: dict[str, Any], problems: Problems) -> dict[str, dict[str, Any]]:
    tables = {}
    for name, entry in {"claude": {"type": "claude-cli"}, **table}.items():
        tables[name] = _ANY_BACKEND
        with problems.collected():
            tables[name] = _backend(name, entry)
    return tables


def _backend(name: str, entry: Any) -> dict[str, Any]:
    path = f"backends.{quoted(name)}"
    if not isinstance(entry, dict):
        home = _HOMES.get(name)
        what = f"put it under [{home}]" if home else f"expected a table, got {type(entry).__name__}"
        raise ConfigError(f"{path}: {what}")
    typed = {"type": "claude-cli", **entry} if name == "claude" else entry
    if not isinstance(typed.get("type"), str):
        raise ConfigError(f'{path}: needs a type, as in type = "claude-cli"')
    return typed


def _plugins(table: dict[str, Any], problems: Problems) -> PluginsConfig:
    own = {name: value for name, value in table.items() if isinstance(value, dict)}
    common = {name: value for name, value in table.items() if name not in own}
    config = PluginsConfig()
    with problems.collected():
        config = convert(common, PluginsConfig, "plugins")
    return msgspec.structs.replace(config, tables=own)


def split_policy(table: dict[str, Any], path: str) -> tuple[PluginPolicy, dict[str, Any]]:
    """Return the settings that every plugin's table may contain, and the plugin's own ones."""
    policy = {key: value for key, value in table.items() if key in _POLICY_KEYS}
    own = {key: value for key, value in table.items() if key not in _POLICY_KEYS}
    return convert(policy, PluginPolicy, path), own
