"""The tables that ``proxy.toml`` may contain, each with its settings and the values in force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from claude_max_proxy import Agent, Settings
from claude_max_proxy.cli.effective import tables as values_in_force
from claude_max_proxy.config import (
    ApiKey,
    BackendTable,
    ModelEntry,
    PluginPolicy,
    PluginsConfig,
    ServerConfig,
    SharedConfig,
)
from claude_max_proxy.config.descriptions import Setting, settings_of
from claude_max_proxy.runtime.building import backend_types
from claude_max_proxy.runtime.runtime import Runtime


class SettingTable(msgspec.Struct, frozen=True):
    """A table: its path, what it is for, its settings, and its values.

    A table that stands for many others, such as ``models.NAME``, has no values: they are ``None``.
    """

    path: tuple[str, ...]
    about: str
    settings: list[Setting]
    values: dict[str, Any] | None = None


def common(runtime: Runtime) -> list[SettingTable]:
    """Return all kinds of tables, and the tables of all backends and plugins."""
    values = dict(values_in_force(runtime))
    return [
        _table(("server",), ServerConfig, values[("server",)]),
        _table(("server", "api_keys", "NAME"), ApiKey),
        _table(("shared",), SharedConfig, values[("shared",)]),
        _table(("models", "NAME"), ModelEntry),
        _table(("models", "NAME", "agent"), Agent),
        *_backends(runtime, values),
        _plugins(values[("plugins",)]),
        _table(("plugins", "NAME"), PluginPolicy),
        *_plugins_own(runtime, values),
    ]


def entries(runtime: Runtime) -> Iterator[SettingTable]:
    """Yield the tables of single API keys and models, of which there may be many."""
    config = runtime.config
    for name, key in config.server.api_keys.items():
        if isinstance(key, ApiKey):
            yield _table(("server", "api_keys", name), ApiKey, msgspec.to_builtins(key))
    for name, entry in config.models.items():
        yield _table(("models", name), ModelEntry, msgspec.to_builtins(entry))
        if entry.agent is not None:
            yield _table(("models", name, "agent"), Agent, msgspec.to_builtins(entry.agent))


def _backends(runtime: Runtime, values: dict[tuple[str, ...], dict[str, Any]]) -> Iterator[SettingTable]:
    types = backend_types(runtime.plugins)
    used = {name: runtime.config.backends[name]["type"] for name in runtime.recipes}
    for name, type_ in used.items():
        yield _backend(name, type_, types[type_][0], values[("backends", name)])
    for type_, (struct, _) in types.items():
        if type_ not in used.values():
            yield _backend("NAME", type_, struct, None)


def _backend(
    name: str, type_: str, struct: type[msgspec.Struct], values: dict[str, Any] | None
) -> SettingTable:
    about = f'type = "{type_}": {_about(struct)}'.removesuffix(": ")
    return SettingTable(("backends", name), about, settings_of(BackendTable) + settings_of(struct), values)


def _plugins(values: dict[str, Any]) -> SettingTable:
    table = _table(("plugins",), PluginsConfig, values)
    return msgspec.structs.replace(table, settings=[one for one in table.settings if one.name in values])


def _plugins_own(runtime: Runtime, values: dict[tuple[str, ...], dict[str, Any]]) -> Iterator[SettingTable]:
    for plugin in runtime.plugins.found:
        if (path := ("plugins", plugin.name)) in values:
            struct = type(plugin.settings) if plugin.settings is not None else Settings
            settings = settings_of(struct) + settings_of(PluginPolicy)
            yield SettingTable(path, _about(struct), settings, values[path])


def _table(
    path: tuple[str, ...], struct: type[msgspec.Struct], values: dict[str, Any] | None = None
) -> SettingTable:
    return SettingTable(path, _about(struct), settings_of(struct), values)


def _about(struct: type[msgspec.Struct]) -> str:
    """Return the description of a struct: the first paragraph of its docstring."""
    text = "" if struct is Settings else struct.__doc__ or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`")
