"""One plugin: its code, where it came from, what its table says; and the checks before it is used."""

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
from claude_max_proxy.errors import ConfigError


class Plugin(msgspec.Struct, eq=False):
    """One loaded plugin: its code, where it came from, what its table says, and how often it failed.

    ``problem`` says why a newer version of its file is not in use; a file that never could be used has no
    ``module``.
    """

    name: str
    module: Any
    origin: str
    policy: PluginPolicy = PluginPolicy()
    settings: Any = None
    failures: int = 0
    problem: str = ""


def configure(plugin: Plugin, table: dict[str, Any]) -> None:
    """Split a plugin's table into policy and settings; what neither knows is a :class:`ConfigError`."""
    path = f"plugins.{quoted(plugin.name)}"
    plugin.policy, own = split_policy(table, path)
    if plugin.module is None:
        if plugin.policy.on_error == "fail":
            raise ConfigError(plugin.problem)
        return
    settings = getattr(plugin.module, "Settings", None)
    if settings is not None and settings is not Settings:  # which a plugin imports to derive its own
        plugin.settings = convert(own, settings, path)
    elif own:
        raise ConfigError(f"{path}: this plugin has no settings, but {min(own)!r} is set")


def check_names(found: list[Plugin]) -> None:
    """Refuse two plugins of one name."""
    origins: dict[str, str] = {}
    for plugin in found:
        if other := origins.get(plugin.name):
            raise ConfigError(f"two plugins are named {plugin.name!r} ({other}, {plugin.origin}): rename one")
        origins[plugin.name] = plugin.origin


def check_tables(config: PluginsConfig, found: list[Plugin]) -> None:
    """Refuse tables and order for plugins that do not exist."""
    names = [plugin.name for plugin in found]
    for where, name in [(f"plugins.{quoted(name)}", name) for name in config.tables] + [
        ("plugins.order", name) for name in config.order
    ]:
        if name not in names:
            raise ConfigError(f"{where}: there is no plugin {name!r}{near_miss(name, names)}")


def in_order(found: list[Plugin], order: list[str]) -> list[Plugin]:
    """Put ``order``'s first entry last in registration: pluggy asks the last registered first."""
    ranks = {name: -index for index, name in enumerate(order, start=1)}
    lowest = -len(order) - 1
    return sorted(found, key=lambda plugin: ranks.get(plugin.name, lowest) if order else 0)
