"""The configuration in force, table by table, with its values as they may be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from claude_max_proxy.config import Config, ServerConfig
from claude_max_proxy.config.secret import masked, masked_url, may_be_secret, says_nothing
from claude_max_proxy.plugin.plugins import Plugins
from claude_max_proxy.runtime.building import Recipe


def tables(
    config: Config, recipes: Mapping[str, Recipe], plugins: Plugins
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield the path and the values of each table; API keys are masked, other secrets by :func:`shown`."""
    yield ("server",), _server(config.server)
    yield ("shared",), msgspec.to_builtins(config.shared)
    yield ("models",), {name: _plain(entry) for name, entry in config.models.items()}
    for name, (_, settings, _) in recipes.items():
        table = {"type": config.backends[name]["type"], **msgspec.to_builtins(settings)}
        yield ("backends", name), table
    yield ("plugins",), {"paths": config.plugins.paths, "order": config.plugins.order}
    for plugin in plugins.found:
        own = msgspec.to_builtins(plugin.settings) if plugin.settings is not None else {}
        if own or plugin.name in config.plugins.tables:
            yield ("plugins", plugin.name), {**msgspec.to_builtins(plugin.policy), **own}


def shown(name: str, value: Any) -> Any:
    """Return a value with everything masked that may be a secret, also inside tables.

    ``None`` becomes an empty text, since TOML has no null.
    """
    match value:
        case dict():
            inside = {key: name if says_nothing(name) else key for key in value}
            return {key: shown(inside[key], one) for key, one in value.items() if one is not None}
        case list() | tuple():
            return [shown(name, one) for one in value]
        case str() if value and may_be_secret(name.lower()):
            return masked(value)
        case str():
            return masked_url(value)
        case _:
            return "" if value is None else value


def _server(config: ServerConfig) -> dict[str, Any]:
    table: dict[str, Any] = msgspec.to_builtins(config)
    for name, key in table["api_keys"].items():
        if isinstance(key, dict):
            key["key"] = masked(key["key"])
        else:
            table["api_keys"][name] = masked(key)
    return table


def _plain(entry: Any) -> Any:
    """Return a model's entry in its short form if it contains only a target."""
    defaults = msgspec.to_builtins(type(entry)(to=entry.to))
    values = {
        name: value
        for name, value in msgspec.to_builtins(entry).items()
        if name == "to" or value != defaults[name]
    }
    return values["to"] if len(values) == 1 else values
