"""Plugins: found, loaded, checked, and called one by one.

Built-ins, installed packages (entry points) and drop-in files all come through the same door, in this order,
and are equals behind it. Each implementation is called by itself, so that one that fails or overruns is
named, counted, and skipped or fatal as its ``on_error`` says, and never stops a neighbour.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import pluggy

from claude_max_proxy import hookspecs
from claude_max_proxy.backend import Backend, Target
from claude_max_proxy.calling import Implementation
from claude_max_proxy.config import Config, PluginsConfig
from claude_max_proxy.errors import ConfigError
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


class Plugins:
    """The loaded plugins and one typed call per hook."""

    def __init__(self, loaded: Iterable[Plugin], config: PluginsConfig) -> None:
        """Check and register ``loaded``; raise :class:`ConfigError` for the first that cannot be used."""
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: list[Plugin] = []
        self.found = list(loaded)
        check_names(self.found)
        check_tables(config, self.found)
        for plugin in in_order(self.found, config.order):
            configure(plugin, config.tables.get(plugin.name, {}))
            if plugin.policy.enabled and plugin.module is not None:
                _register(self._manager, plugin)
                self._plugins.append(plugin)
        self._implementations = _implementations(self._manager, self._plugins)

    def __iter__(self) -> Iterator[Plugin]:
        """Return the plugins that are in use, in the order they were registered."""
        return iter(self._plugins)

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
        await self._all("rewrite_request", request=request)

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
        for implementation in self._implementations["wrap_events"]:
            wrapped = await _ask(implementation, {"request": request, "events": events})
            if wrapped is not None:
                events = _guarded(implementation, wrapped, events)
        return events

    # --- announcements

    async def configured(self, old: Config | None, new: Config) -> None:
        """Tell every plugin what is in force now."""
        await self._all("configured", old=old, new=new)

    async def shutdown(self, still_used: Collection[Any] = ()) -> None:
        """Tell every plugin, but for those whose code is in ``still_used``, that it goes out of use."""
        for implementation in self._implementations["shutdown"]:
            if implementation.plugin.module not in still_used:
                await _ask(implementation, {})

    async def log_request(self, record: Record) -> None:
        """Tell every plugin; nothing they do matters to the answer, so nothing they raise does either."""
        await self._all("log_request", record=record)

    # --- how a hook is called

    def _call_now(self, hook: str, **arguments: Any) -> None:
        for implementation in self._implementations[hook]:
            try:
                implementation.call(arguments)
            except ConfigError:
                raise
            except Exception as error:  # whatever a plugin raises is reported in its name
                name = implementation.plugin.name
                raise ConfigError(f"plugin {name!r} failed in {hook}: {error!r}") from error

    async def _first(self, hook: str, **arguments: Any) -> Any:
        """Call one after the other, until one has an answer."""
        for implementation in self._implementations[hook]:
            answer = implementation.begin(arguments)
            if answer is not None and inspect.isawaitable(answer):
                answer = await implementation.finish(answer)
            if answer is not None:
                return answer

        return None

    async def _all(self, hook: str, **arguments: Any) -> None:
        """Call one after the other."""
        for implementation in self._implementations[hook]:
            answer = implementation.begin(arguments)
            if answer is not None and inspect.isawaitable(answer):
                await implementation.finish(answer)


async def _ask(implementation: Implementation, arguments: dict[str, Any]) -> Any:
    answer = implementation.begin(arguments)
    if answer is not None and inspect.isawaitable(answer):
        return await implementation.finish(answer)

    return answer


async def _guarded(implementation: Implementation, wrapped: AsyncIterator[Event], inner: Events) -> Events:
    """Yield a plugin's events; what it raises ends the answer, in the plugin's name."""
    async with aclosing(inner):
        try:
            async for event in wrapped:
                yield event
        except Exception as error:  # half an answer cannot be skipped
            implementation.fail(error, fatal=True)
        finally:
            if isinstance(wrapped, AsyncGenerator):
                await wrapped.aclose()


def _implementations(
    manager: pluggy.PluginManager, plugins: Iterable[Plugin]
) -> dict[str, list[Implementation]]:
    """Return every hook's implementations in the order of their calls."""
    by_module = {id(plugin.module): plugin for plugin in plugins}
    found: dict[str, list[Implementation]] = {}
    for name, caller in vars(manager.hook).items():
        found[name] = [
            Implementation(by_module[id(one.plugin)], name, one.function, one.argnames)
            for one in reversed(caller.get_hookimpls())
        ]
    return found


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
