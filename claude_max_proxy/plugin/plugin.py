"""One plugin: its code, its origin and its settings; and the checks before it is used."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy.config import (
    PluginPolicy,
    PluginsConfig,
    Settings,
    convert,
    near_miss,
    quoted,
    split_policy,
)
from claude_max_proxy.config.near_misses import closest
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.plugin.shipped import shipped


class Plugin(msgspec.Struct, eq=False):
    """One loaded plugin: its code, its origin, what its table says, and how often it has failed.

    ``problem`` says why the newest version of its file is not in use. A file of which no version could be
    used has no ``module``.
    """

    name: str
    module: Any
    origin: str
    policy: PluginPolicy = PluginPolicy()
    settings: Any = None
    failures: int = 0
    problem: str = ""


def configure(plugin: Plugin, table: dict[str, Any]) -> None:
    """Split a plugin's table into policy and settings; raise :class:`ConfigError` for anything else."""
    path = f"plugins.{quoted(plugin.name)}"
    plugin.policy, own = split_policy(table, path)
    if plugin.module is None:
        if plugin.policy.on_error == "fail":
            raise ConfigError(plugin.problem)
        return
    settings = getattr(plugin.module, "Settings", None)
    if settings is not None and settings is not Settings:  # a plugin may have imported the base class
        plugin.settings = convert(own, settings, path)
    elif own:
        raise ConfigError(f"{path}: this plugin has no settings, but {min(own)!r} is set")


def check_names(found: list[Plugin]) -> None:
    """Raise :class:`ConfigError` if two plugins have the same name."""
    origins: dict[str, str] = {}
    for plugin in found:
        if other := origins.get(plugin.name):
            raise ConfigError(f"two plugins are named {plugin.name!r} ({other}, {plugin.origin}): rename one")
        origins[plugin.name] = plugin.origin


def check_tables(config: PluginsConfig, found: list[Plugin]) -> None:
    """Raise :class:`ConfigError` if a table, or ``order``, names a plugin that does not exist."""
    names = [plugin.name for plugin in found]
    places = [(f"plugins.{quoted(name)}", name) for name in config.tables]
    places += [("plugins.order", name) for name in config.order]
    problems = [
        f"{where}: there is no plugin {name!r}{_remedy(name, names)}"
        for where, name in places
        if name not in names
    ]
    if problems:
        raise ConfigError(*problems)


def _remedy(name: str, names: list[str]) -> str:
    """Say what may be meant: a plugin that is there, or one that is shipped and only has to be added."""
    files = shipped()
    meant = name if name in files else closest(name, [*names, *files])
    if meant is None or meant in names:
        return near_miss(name, names)

    told = "; add" if meant == name else f"; did you mean {meant!r}? Add"
    return f" in [plugins] paths{told} it with `claude-max-proxy plugins add {meant}`"


def in_order(found: list[Plugin], order: list[str]) -> list[Plugin]:
    """Return the plugins in the order of their registration: the first in ``order`` is the last.

    This is because pluggy calls the plugin that was registered last first.
    """
    ranks = {name: -index for index, name in enumerate(order, start=1)}
    lowest = -len(order) - 1
    return sorted(found, key=lambda plugin: ranks.get(plugin.name, lowest) if order else 0)
