"""Builds the parts of one configuration: its plugins, dialects, backends and routes.

What has not changed since the configuration before is taken over from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any, Protocol

import msgspec

from claude_max_proxy.backend import Backend
from claude_max_proxy.capabilities.honoured import Known, all_capabilities, check_honours
from claude_max_proxy.concurrency.endings import described
from claude_max_proxy.config import Config, PluginsConfig, Problems, convert, near_miss, quoted
from claude_max_proxy.config.secret import fingerprint
from claude_max_proxy.context import Context
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.hookspecs import BuildBackend
from claude_max_proxy.plugin.members import check_members
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.plugin.plugins import Plugins
from claude_max_proxy.route import Route


# How a backend was made, and with which secrets. A backend with the same recipe need not be made again.
Recipe = tuple[BuildBackend, Any, bytes]


class Built(Protocol):
    """What was built for the configuration before."""

    dialects: dict[str, Dialect]
    backends: dict[str, Backend]
    recipes: dict[str, Recipe]


class PluginRoute(msgspec.Struct, frozen=True):
    """A route, and the plugin that answers it."""

    route: Route
    plugin: Plugin


def build_plugins(found: list[Plugin], config: PluginsConfig, problems: Problems) -> Plugins:
    """Register the plugins; if their tables are wrong without them, so that the rest can be looked at."""
    with problems.collected():
        return Plugins(found, config)

    try:
        return Plugins(found, PluginsConfig())
    except ConfigError as error:  # of one that cannot be without its table
        raise ConfigError(*problems.messages) from error


def build_dialects(plugins: Plugins, before: Built | None) -> dict[str, Dialect]:
    """Return the dialects of the plugins by their names; they keep what they remember."""
    dialects: dict[str, Dialect] = {}

    def register(dialect: Dialect) -> None:
        check_members(dialect, Dialect, f"the dialect {type(dialect).__qualname__}")
        if dialect.name in dialects:
            raise ConfigError(f"two plugins offer the dialect {dialect.name!r}")
        dialects[dialect.name] = dialect

    plugins.register_dialects(register)
    for name, dialect in dialects.items():
        if before is not None and name in before.dialects:
            dialect.take_over(before.dialects[name])
    return dialects


def build_backends(
    plugins: Plugins, config: Config, before: Built | None, problems: Problems
) -> tuple[dict[str, Backend], dict[str, Recipe]]:
    """Build the backends; what is wrong with one is added to ``problems``."""
    types = backend_types(plugins)
    backends: dict[str, Backend] = {}
    recipes: dict[str, Recipe] = {}
    for name, table in config.backends.items():
        with problems.collected():
            recipes[name] = _recipe(name, table, types)
            build, settings, _ = recipes[name]
            if before is not None and name in before.recipes and _alike(before.recipes[name], recipes[name]):
                backends[name] = before.backends[name]
            else:
                backends[name] = _built(build, name, settings)
    if before is not None and not problems.messages:
        for name, backend in backends.items():
            if name in before.backends and before.backends[name] is not backend:
                backend.take_over(before.backends[name])
    return backends, recipes


def known_capabilities(dialects: Mapping[str, Dialect], backends: Mapping[str, Backend]) -> Known:
    """Return every capability that there is; raise :class:`ConfigError` if a backend honours another."""
    added = [(f"the dialect {name!r}", dialect.capabilities) for name, dialect in dialects.items()]
    added += [(f"backends.{quoted(name)}", backend.capabilities) for name, backend in backends.items()]
    known = all_capabilities(added)
    for name, backend in backends.items():
        check_honours(backend.honours, known, f"backends.{quoted(name)}")
    return known


def _recipe(
    name: str, table: dict[str, Any], types: dict[str, tuple[type[msgspec.Struct], BuildBackend]]
) -> Recipe:
    path = f"backends.{quoted(name)}"
    if table["type"] not in types:
        raise ConfigError(
            f"{path}.type: unknown backend type {table['type']!r}{near_miss(table['type'], types)}"
        )
    struct, build = types[table["type"]]
    settings = convert({key: value for key, value in table.items() if key != "type"}, struct, path)
    return build, settings, fingerprint(table)


def _built(build: BuildBackend, name: str, settings: Any) -> Backend:
    path = f"backends.{quoted(name)}"
    try:
        backend = build(name, settings)
    except ConfigError:
        raise
    except BaseException as error:  # whatever a plugin raises there is reported, and ends nothing else
        raise ConfigError(f"{path} cannot be built: {described(error)}") from error
    check_members(backend, Backend, path)
    return backend


def _alike(one: Recipe, other: Recipe) -> bool:
    """Return whether two recipes make the same backend.

    A lambda is a new function each time it is registered, so functions are compared by their code.
    """
    (build, *made_of), (other_build, *other_made_of) = one, other
    if made_of != other_made_of:
        return False
    if not (isinstance(build, FunctionType) and isinstance(other_build, FunctionType)):
        return build == other_build
    closed = build.__closure__ or other_build.__closure__
    return build is other_build or (not closed and build.__code__ is other_build.__code__)


def backend_types(plugins: Plugins) -> dict[str, tuple[type[msgspec.Struct], BuildBackend]]:
    """Return the backend types that the plugins offer: for each, its settings and how to build it.

    Raises :class:`ConfigError` if two plugins offer the same type.
    """
    types: dict[str, tuple[type[msgspec.Struct], BuildBackend]] = {}

    def register(type_: str, settings: type[msgspec.Struct], build: BuildBackend) -> None:
        if type_ in types:
            raise ConfigError(f"two plugins offer the backend type {type_!r}")
        if isinstance(build, type):
            check_members(build, Backend, f"the backend type {type_!r}")
        types[type_] = (settings, build)

    plugins.register_backends(register)
    return types


def build_routes(plugins: Plugins, context: Context) -> list[PluginRoute]:
    """Return the routes of the plugins; raise :class:`ConfigError` if two have the same one."""
    routes: dict[tuple[str, str], PluginRoute] = {}

    def register(plugin: Plugin, route: Route) -> None:
        key = (route.method, route.path)
        if key in routes:
            raise ConfigError(
                f"the plugins {routes[key].plugin.name!r} and {plugin.name!r} both offer the route "
                f"{route.method} {route.path}"
            )
        if not route.path.startswith("/"):
            raise ConfigError(f"plugin {plugin.name!r}: the path {route.path!r} of a route must begin with /")
        routes[key] = PluginRoute(route, plugin)

    plugins.register_routes(register, context)
    return list(routes.values())
