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
import time
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from types import ModuleType
from typing import Any

import pluggy

from claude_max_proxy import hookspecs
from claude_max_proxy.backend import Backend, Target
from claude_max_proxy.config import Config, PluginsConfig
from claude_max_proxy.errors import ConfigError, InternalError, ProxyError
from claude_max_proxy.events import Event, Events
from claude_max_proxy.plugin import Plugin, check_names, check_tables, configure, in_order
from claude_max_proxy.record import Record
from claude_max_proxy.request import Request


BUILT_INS = (
    "claude_max_proxy.models",
    "claude_max_proxy.dialects.anthropic_messages",
    "claude_max_proxy.dialects.openai_completions",
    "claude_max_proxy.dialects.openai_responses",
    "claude_max_proxy.dialects.openai_chat",  # the last comes first, and writes the errors of nobody's routes
    "claude_max_proxy.backends.claude_cli",
    "claude_max_proxy.backends.openai_api",
    "claude_max_proxy.backends.anthropic_api",
    "claude_max_proxy.observers.access_log",
    "claude_max_proxy.cli.commands",
)

logger = logging.getLogger(__name__)


class Plugins:
    """The loaded plugins and one typed call per hook."""

    def __init__(self, loaded: Iterable[Plugin], config: PluginsConfig) -> None:
        """Check and register ``loaded``; raise :class:`ConfigError` for the first that cannot be used."""
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: dict[int, Plugin] = {}
        self.found = list(loaded)
        check_names(self.found)
        check_tables(config, self.found)
        for plugin in in_order(self.found, config.order):
            configure(plugin, config.tables.get(plugin.name, {}))
            if plugin.policy.enabled and plugin.module is not None:
                _register(self._manager, plugin)
                self._plugins[id(plugin.module)] = plugin

    def __iter__(self) -> Iterator[Plugin]:
        """Give the plugins that are in use, in the order they were registered."""
        return iter(self._plugins.values())

    def hooks(self, plugin: Plugin) -> list[str]:
        """Name the hooks that a plugin implements."""
        callers = self._manager.get_hookcallers(plugin.module) if plugin.module is not None else None
        return sorted(caller.name for caller in callers or [])

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

    def register_checks(
        self, register: hookspecs.RegisterCheck, config: Config, backends: Mapping[str, Backend]
    ) -> None:
        """Let every plugin add its checks."""
        self._call_now("register_checks", register=register, config=config, backends=backends)

    # --- one request

    async def map_model(self, request: Request, config: Config) -> Target | str | None:
        """Ask in order; the first answer wins."""
        answer: Target | str | None = await self._first("map_model", request=request, config=config)
        return answer

    async def rewrite_request(self, request: Request) -> None:
        """Let every plugin change the request, in order."""
        async for _ in self._call("rewrite_request", request=request):
            pass

    async def select_backend(
        self, request: Request, target: Target, backends: Mapping[str, Backend]
    ) -> str | None:
        """Ask in order; the first answer wins."""
        answer: str | None = await self._first(
            "select_backend", request=request, target=target, backends=backends
        )
        return answer

    async def wrap_events(self, request: Request, events: Events) -> Events:
        """Let every plugin put an iterator around the last one's; nobody's hook costs nothing per event."""
        for implementation in self._implementations("wrap_events"):
            plugin = self._plugins[id(implementation.plugin)]
            wrapped = await self._ask(implementation, "wrap_events", {"request": request, "events": events})
            if wrapped is not None:
                events = self._guarded(plugin, wrapped, events)
        return events

    async def _guarded(self, plugin: Plugin, wrapped: AsyncIterator[Event], inner: Events) -> Events:
        """Give a plugin's events; what it raises ends the answer, in the plugin's name."""
        async with aclosing(inner):
            try:
                async for event in wrapped:
                    yield event
            except ProxyError:
                raise
            except Exception as error:  # half an answer cannot be skipped
                self._failed(plugin, "wrap_events", error)
                raise _fatal(plugin, "wrap_events") from error
            finally:
                if isinstance(wrapped, AsyncGenerator):
                    await wrapped.aclose()

    async def configured(self, old: Config | None, new: Config) -> None:
        """Tell every plugin what is in force now."""
        async for _ in self._call("configured", decides=False, old=old, new=new):
            pass

    async def shutdown(self, still_used: Collection[Any] = ()) -> None:
        """Tell every plugin, but for those whose code is in ``still_used``, that it goes out of use."""
        for implementation in self._implementations("shutdown"):
            if implementation.plugin not in still_used:
                await self._ask(implementation, "shutdown", {}, decides=False)

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
            yield await self._ask(implementation, hook, arguments, decides=decides)

    async def _ask(
        self, implementation: pluggy.HookImpl, hook: str, arguments: dict[str, Any], *, decides: bool = True
    ) -> Any:
        """Call one implementation; one that fails has no answer, unless that is fatal."""
        plugin = self._plugins[id(implementation.plugin)]
        began = time.monotonic()
        try:
            answer = _invoke(implementation, plugin, arguments)
            if answer is not None and inspect.isawaitable(answer):
                async with asyncio.timeout(plugin.policy.timeout):
                    answer = await answer
            elif time.monotonic() - began > plugin.policy.timeout:
                logger.warning("plugin %r held everything up in %s: make it async", plugin.name, hook)
        except Exception as error:  # a plugin's failure never stops a neighbour
            if decides and isinstance(error, ProxyError):
                raise
            self._failed(plugin, hook, error)
            if decides and plugin.policy.on_error == "fail":
                raise _fatal(plugin, hook) from error
            return None
        return answer

    def _failed(self, plugin: Plugin, hook: str, error: Exception) -> None:
        plugin.failures += 1
        frames = "".join(traceback.format_list(_own_frames(plugin.module, error)))
        logger.error("plugin %r failed in %s: %r\n%s", plugin.name, hook, error, frames.rstrip())


def check_hooks(plugin: Plugin) -> None:
    """Raise :class:`ConfigError` for a hook that there is not, or one with other arguments."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    _register(manager, plugin)


def _register(manager: pluggy.PluginManager, plugin: Plugin) -> None:
    try:
        manager.register(plugin.module, plugin.name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        message = str(error).splitlines()[-1]
        raise ConfigError(f"plugin {plugin.name!r} ({plugin.origin}): {message}") from error


def load_built_ins(names: Iterable[str] = BUILT_INS) -> list[Plugin]:
    """Import the built-in plugins by their dotted names."""
    return [Plugin(name.rpartition(".")[2], importlib.import_module(name), "built-in") for name in names]


def _invoke(implementation: pluggy.HookImpl, plugin: Plugin, arguments: dict[str, Any]) -> Any:
    function: Callable[..., Any] = implementation.function
    given = {**arguments, "settings": plugin.settings}
    return function(*[given[name] for name in implementation.argnames])


def _fatal(plugin: Plugin, hook: str) -> InternalError:
    return InternalError(f"the plugin {plugin.name!r} failed in {hook}", code="plugin_failed")


def _own_frames(module: ModuleType, error: Exception) -> list[traceback.FrameSummary]:
    path = getattr(module, "__file__", None)
    for raised in (error, error.__cause__):  # a timeout's cause says where the plugin waited
        frames = traceback.extract_tb(raised.__traceback__) if raised else []
        own = [index for index, frame in enumerate(frames) if frame.filename == path]
        if own:
            return list(frames[own[0] :])
    return list(traceback.extract_tb(error.__traceback__))
