"""``proxy.toml`` as typed values: what may stand in it, its defaults, and errors that say what was meant.

Backends' and plugins' own tables stay raw here: whoever owns one converts it with :func:`convert` into a
struct of its own, so that every error, anybody's, names its whole path and suggests the near miss.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec

from claude_max_proxy.errors import ConfigError
from claude_max_proxy.request import Agent, Effort


T = TypeVar("T")
Seconds = Annotated[float, msgspec.Meta(gt=0, description="seconds")]
Count = Annotated[int, msgspec.Meta(ge=1)]

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


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of every table: unknown keys are errors, every key has a default."""


class ApiKey(Settings, frozen=True):
    """A key in its long form: the models (names or ``*`` patterns) it may ask for, and how often."""

    key: Annotated[str, msgspec.Meta(min_length=1)]
    models: list[str] = []
    requests_per_minute: Count | None = None


class ServerConfig(Settings, frozen=True):
    """``[server]``: where to listen, who may ask, and for how long."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 3456
    unix_socket: str = ""
    tls_certificate: str = ""
    tls_key: str = ""
    api_keys: dict[str, Annotated[str, msgspec.Meta(min_length=1)] | ApiKey] = {}
    allowed_hosts: list[str] = []
    allowed_origins: list[str] = []
    max_body_bytes: Count = 100_000_000
    keep_alive: Seconds = 10.0
    hold: Seconds = 60.0
    drain_timeout: Seconds = 30.0


class ModelEntry(Settings, frozen=True):
    """One line of ``[models]`` in its long form: where a name leads, and what it sets.

    ``to`` is ``"backend/model"`` or another name of ``[models]``. Each ``fallback`` is one of these too; they
    are asked in order, each when those before it failed before their first word. ``effort`` and
    ``max_tokens`` hold unless the client sets its own; ``system`` stands before the client's. A ``hidden``
    name works and is not listed.
    """

    to: str
    fallback: list[str] = []
    hidden: bool = False
    effort: Effort | None = None
    max_tokens: Count | None = None
    system: str = ""
    temperature: Literal["auto", "forward", "ignore"] = "auto"
    agent: Agent | None = None


class PluginPolicy(Settings, frozen=True):
    """What every ``[plugins.<name>]`` may say beside the plugin's own keys."""

    enabled: bool = True
    timeout: Seconds = 5.0
    on_error: Literal["skip", "fail"] = "skip"


class PluginsConfig(Settings, frozen=True):
    """``[plugins]``: the drop-in folders, the order of plugins, and each plugin's own raw table."""

    paths: list[str] = msgspec.field(default_factory=lambda: ["plugins"])
    order: list[str] = []
    tables: dict[str, dict[str, Any]] = {}


class Config(Settings, frozen=True):
    """All of ``proxy.toml``. ``source`` is the file it came from, ``None`` for the defaults alone."""

    server: ServerConfig = ServerConfig()
    models: dict[str, ModelEntry] = {}
    backends: dict[str, dict[str, Any]] = {}
    plugins: PluginsConfig = PluginsConfig()
    source: Path | None = None


def load(path: Path | None) -> Config:
    """Read ``path``, or give the defaults for ``None``.

    Raises :class:`ConfigError` for a file that is missing, not TOML, or says what nobody knows.
    """
    if path is None:
        return parse({}, None)

    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:  # numbers and nesting beyond Python's limits, too
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return parse(table, path)


def parse(table: dict[str, Any], source: Path | None) -> Config:
    """Turn a raw table into a :class:`Config`, the defaults filled in."""
    for name, value in table.items():
        if name not in _SECTIONS:
            raise ConfigError(f"unknown table [{name}]{near_miss(name, _SECTIONS)}")
        if not isinstance(value, dict):
            raise ConfigError(f"{name}: expected a table [{name}], got a value")
    return Config(
        server=convert(table.get("server", {}), ServerConfig, "server"),
        models={
            name: _model(entry, f"models.{quoted(name)}")
            for name, entry in (DEFAULT_MODELS | table.get("models", {})).items()
        },
        backends=_backends(table.get("backends", {})),
        plugins=_plugins(table.get("plugins", {})),
        source=source,
    )


def convert(value: Any, type_: type[T], path: str) -> T:
    """Convert ``value`` strictly into ``type_``; every error names its whole path under ``path``.

    Raises :class:`ConfigError`, with a suggestion when an unknown key is close to a known one.
    """
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), type_, path)) from error


def quoted(key: str) -> str:
    """``key`` as TOML would write it in a dotted path."""
    if re.fullmatch(r"[A-Za-z0-9_-]+", key):
        return key
    return json.dumps(key, ensure_ascii=False).replace("\x7f", "\\u007f")


def near_miss(name: str, known: Any) -> str:
    """``"; did you mean 'port'?"`` when something known is close, else what is known."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"

    return f"; known here: {', '.join(sorted(known))}" if known else ""


_SECTIONS = ("server", "models", "backends", "plugins")
_POLICY_KEYS = frozenset(PluginPolicy.__struct_fields__)


def _model(entry: Any, path: str) -> ModelEntry:
    if isinstance(entry, str):
        entry = {"to": entry}
    return convert(entry, ModelEntry, path)


def _backends(table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    tables = {"claude": {"type": "claude-cli"}, **table}
    for name, entry in tables.items():
        path = f"backends.{quoted(name)}"
        if not isinstance(entry, dict):
            raise ConfigError(f"{path}: expected a table, got {type(entry).__name__}")
        if name == "claude":
            entry.setdefault("type", "claude-cli")
        if not isinstance(entry.get("type"), str):
            raise ConfigError(f'{path}: needs a type, as in type = "claude-cli"')
    return tables


def _plugins(table: dict[str, Any]) -> PluginsConfig:
    own = {name: value for name, value in table.items() if isinstance(value, dict)}
    common = {name: value for name, value in table.items() if name not in own}
    config = convert(common, PluginsConfig, "plugins")
    return msgspec.structs.replace(config, tables=own)


def split_policy(table: dict[str, Any], path: str) -> tuple[PluginPolicy, dict[str, Any]]:
    """Separate what every plugin's table may say from the plugin's own keys."""
    policy = {key: value for key, value in table.items() if key in _POLICY_KEYS}
    own = {key: value for key, value in table.items() if key not in _POLICY_KEYS}
    return convert(policy, PluginPolicy, path), own


_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")
_NOT_ONE_OF = re.compile(r"Invalid enum value '(?P<value>[^']*)'")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


def _explain(message: str, type_: Any, path: str) -> str:
    at = _AT.search(message)
    inner = at["path"] if at else ""
    separator = "" if not inner or inner.startswith("[") else "."
    where = f"{path}{separator}{inner}"
    if unknown := _UNKNOWN_FIELD.search(message):
        fields = getattr(type_, "__struct_fields__", ()) if not inner else ()
        return f"{where}: unknown key {unknown['field']!r}{near_miss(unknown['field'], fields)}"

    text = _AT.sub("", message)
    if wrong := _NOT_ONE_OF.search(message):
        text += near_miss(wrong["value"], _choices(type_, inner))
    return f"{where}: {text[0].lower()}{text[1:]}"


def _choices(type_: Any, inner: str) -> list[str]:
    """Name the words that a field of ``type_`` itself may hold, alone or in a list; none deeper in."""
    field = re.fullmatch(r"(?P<name>[\w-]+)(\[[^]]*\])*", inner)
    if field is None or not hasattr(type_, "__struct_fields__"):
        return []

    wanted = [one.type for one in msgspec.structs.fields(type_) if one.encode_name == field["name"]]
    words: list[str] = []
    while wanted:
        one = wanted.pop()
        words += [word for word in get_args(one) if isinstance(word, str)]
        wanted += [inner_type for inner_type in get_args(one) if not isinstance(inner_type, str)]
    return words
