"""Plugins: found, loaded, checked, and called one by one.

Built-ins, installed packages (entry points) and drop-in files all come through the same door, in this order,
and are equals behind it. Each implementation is called by itself, so that one that fails or overruns is
named, counted, and skipped or fatal as its ``on_error`` says, and never stops a neighbour.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
import traceback
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from types import ModuleType
from typing import Any

import msgspec
import pluggy

from claude_max_proxy import hookspecs
from claude_max_proxy.backend import Backend, Target
from claude_max_proxy.config import (
    Config,
    PluginPolicy,
    PluginsConfig,
    Settings,
    convert,
    near_miss,
    quoted,
    split_policy,
)
from claude_max_proxy.errors import ConfigError, InternalError, ProxyError
from claude_max_proxy.record import Record
from claude_max_proxy.request import Request


BUILT_INS = (
    "claude_max_proxy.models",
    "claude_max_proxy.dialects.openai_chat",
    "claude_max_proxy.backends.claude_cli",
    "claude_max_proxy.backends.openai_api",
    "claude_max_proxy.backends.anthropic_api",
    "claude_max_proxy.observers.access_log",
    "claude_max_proxy.cli.commands",
)

logger = logging.getLogger(__name__)


class Plugin(msgspec.Struct, eq=False):
    """One loaded plugin: its code, where it came from, what its table says, and how often it failed."""

    name: str
    module: Any
    origin: str
    policy: PluginPolicy = PluginPolicy()
    settings: Any = None
    failures: int = 0


class Plugins:
    """The loaded plugins and one typed call per hook."""

    def __init__(self, loaded: Iterable[Plugin], config: PluginsConfig) -> None:
        """Check and register ``loaded``; raise :class:`ConfigError` for the first that cannot be used."""
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: dict[int, Plugin] = {}
        found = list(loaded)
        _check_names(found)
        _check_tables(config, found)
        for plugin in _ordered(found, config.order):
            _configure(plugin, config.tables.get(plugin.name, {}))
            if plugin.policy.enabled:
                self._register(plugin)

    def __iter__(self) -> Iterator[Plugin]:
        """Give the plugins that are in use, in the order they were registered."""
        return iter(self._plugins.values())

    def _register(self, plugin: Plugin) -> None:
        try:
            self._manager.register(plugin.module, plugin.name)
            self._manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            message = str(error).splitlines()[-1]
            raise ConfigError(f"plugin {plugin.name!r} ({plugin.origin}): {message}") from error
        self._plugins[id(plugin.module)] = plugin

    # --- registration

    def register_backends(self, register: hookspecs.RegisterBackend) -> None:
        """Let every plugin add its backend types."""
        self._call_now("register_backends", register=register)

    def register_dialects(self, register: hookspecs.RegisterDialect) -> None:
        """Let every plugin add its client APIs."""
        self._call_now("register_dialects", register=register)

    def register_commands(self, cli: Any) -> None:
        """Let every plugin add its subcommands."""
        self._call_now("register_commands", cli=cli)

    # --- one request

    async def map_model(self, request: Request, config: Config) -> Target | str | None:
        """Ask in order; the first answer wins."""
        answer: Target | str | None = await self._first("map_model", request=request, config=config)
        return answer

    async def rewrite_request(self, request: Request) -> None:
        """Let every plugin change the request, in order."""
        async for _ in self._call("rewrite_request", request=request):
            pass

    async def select_backend(self, request: Request, backends: Mapping[str, Backend]) -> str | None:
        """Ask in order; the first answer wins."""
        answer: str | None = await self._first("select_backend", request=request, backends=backends)
        return answer

    async def log_request(self, record: Record) -> None:
        """Tell every plugin; nothing they do matters to the answer, so nothing they raise does either."""
        async for _ in self._call("log_request", decides=False, record=record):
            pass

    # --- how a hook is called

    def _implementations(self, hook: str) -> list[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return caller.get_hookimpls()[::-1]

    def _call_now(self, hook: str, **arguments: Any) -> None:
        for implementation in self._implementations(hook):
            plugin = self._plugins[id(implementation.plugin)]
            try:
                _invoke(implementation, plugin, arguments)
            except ConfigError:
                raise
            except Exception as error:  # whatever a plugin raises is reported in its name
                raise ConfigError(f"plugin {plugin.name!r} failed in {hook}: {error!r}") from error

    async def _first(self, hook: str, **arguments: Any) -> Any:
        async with aclosing(self._call(hook, **arguments)) as answers:
            async for answer in answers:
                if answer is not None:
                    return answer

        return None

    async def _call(self, hook: str, *, decides: bool = True, **arguments: Any) -> AsyncGenerator[Any, None]:
        """Call one after the other; only where the hook ``decides`` can a failure end the request."""
        for implementation in self._implementations(hook):
            plugin = self._plugins[id(implementation.plugin)]
            try:
                answer = _invoke(implementation, plugin, arguments)
                if inspect.isawaitable(answer):
                    async with asyncio.timeout(plugin.policy.timeout):
                        answer = await answer
            except Exception as error:  # a plugin's failure never stops a neighbour
                if decides and isinstance(error, ProxyError):
                    raise
                self._failed(plugin, hook, error)
                if decides and plugin.policy.on_error == "fail":
                    raise InternalError(
                        f"the plugin {plugin.name!r} failed in {hook}", code="plugin_failed"
                    ) from error
            else:
                yield answer

    def _failed(self, plugin: Plugin, hook: str, error: Exception) -> None:
        plugin.failures += 1
        frames = "".join(traceback.format_list(_own_frames(plugin.module, error)))
        logger.error("plugin %r failed in %s: %r\n%s", plugin.name, hook, error, frames.rstrip())


def load_built_ins(names: Iterable[str] = BUILT_INS) -> list[Plugin]:
    """Import the built-in plugins by their dotted names."""
    return [Plugin(name.rpartition(".")[2], importlib.import_module(name), "built-in") for name in names]


def _invoke(implementation: pluggy.HookImpl, plugin: Plugin, arguments: dict[str, Any]) -> Any:
    function: Callable[..., Any] = implementation.function
    given = {**arguments, "settings": plugin.settings}
    return function(**{name: given[name] for name in implementation.argnames})


def _configure(plugin: Plugin, table: dict[str, Any]) -> None:
    path = f"plugins.{quoted(plugin.name)}"
    plugin.policy, own = split_policy(table, path)
    settings = getattr(plugin.module, "Settings", None)
    if settings is not None and settings is not Settings:  # which a plugin imports to derive its own
        plugin.settings = convert(own, settings, path)
    elif own:
        raise ConfigError(f"{path}: this plugin has no settings, but {min(own)!r} is set")


def _check_names(found: list[Plugin]) -> None:
    origins: dict[str, str] = {}
    for plugin in found:
        if other := origins.get(plugin.name):
            raise ConfigError(f"two plugins are named {plugin.name!r} ({other}, {plugin.origin}): rename one")
        origins[plugin.name] = plugin.origin


def _check_tables(config: PluginsConfig, found: list[Plugin]) -> None:
    names = [plugin.name for plugin in found]
    for where, name in [(f"plugins.{quoted(name)}", name) for name in config.tables] + [
        ("plugins.order", name) for name in config.order
    ]:
        if name not in names:
            raise ConfigError(f"{where}: there is no plugin {name!r}{near_miss(name, names)}")


def _ordered(found: list[Plugin], order: list[str]) -> list[Plugin]:
    """Put ``order``'s first entry last in registration: pluggy asks the last registered first."""
    ranks = {name: -index for index, name in enumerate(order, start=1)}
    lowest = -len(order) - 1
    return sorted(found, key=lambda plugin: ranks.get(plugin.name, lowest) if order else 0)


def _own_frames(module: ModuleType, error: Exception) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    path = getattr(module, "__file__", None)
    own = [index for index, frame in enumerate(frames) if frame.filename == path]
    return list(frames[own[0] :]) if own else list(frames)
