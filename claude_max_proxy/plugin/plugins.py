"""Plugins: found, loaded, checked, and called one by one.

Built-ins, installed packages (entry points) and drop-in files all come through the same door, in this order,
and are equals behind it. Each implementation is called by itself, so that one that fails or overruns is
named, counted, and skipped or fatal as its ``on_error`` says, and never stops a neighbour.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, get_args

import pluggy

from claude_max_proxy import hookspecs
from claude_max_proxy.backend import Backend, Target
from claude_max_proxy.concurrency import threads
from claude_max_proxy.concurrency.endings import described, is_asked_for
from claude_max_proxy.concurrency.tasks import Tasks
from claude_max_proxy.config import Config, PluginsConfig, Problems
from claude_max_proxy.context import Context
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.events import Event, Events
from claude_max_proxy.plugin.calling import Implementation, current_task
from claude_max_proxy.plugin.hooks import check_marked
from claude_max_proxy.plugin.plugin import Plugin, check_names, check_tables, configure, in_order
from claude_max_proxy.record import Record
from claude_max_proxy.request import Request
from claude_max_proxy.route import Route


BUILT_INS = (
    "claude_max_proxy.gateway.model_map",
    "claude_max_proxy.dialects.anthropic_messages",
    "claude_max_proxy.dialects.openai_completions",
    "claude_max_proxy.dialects.openai_responses",
    "claude_max_proxy.dialects.openai_chat",  # the last comes first, and writes the errors of nobody's routes
    "claude_max_proxy.backends.claude_cli",
    "claude_max_proxy.backends.openai_api",
    "claude_max_proxy.backends.anthropic_api",
    "claude_max_proxy.backends.local_embeddings",
    "claude_max_proxy.observers.access_log",
    "claude_max_proxy.observers.ledger",
    "claude_max_proxy.observers.meter",
    "claude_max_proxy.observers.metrics",
    "claude_max_proxy.observers.traces",
    "claude_max_proxy.observers.budgets",
    "claude_max_proxy.observers.inspector",
    "claude_max_proxy.observers.page",
    "claude_max_proxy.cli.commands",
)
# How long the last records may take to reach the plugins before these are shut down.
_TELLING_SECONDS = 5.0
_KINDS = frozenset(get_args(Event))


class Plugins:
    """The loaded plugins and one typed call per hook."""

    def __init__(self, loaded: Iterable[Plugin], config: PluginsConfig) -> None:
        """Check and register ``loaded``; raise :class:`ConfigError` for what cannot be used."""
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._plugins: list[Plugin] = []
        self._telling = Tasks()
        self.found = list(loaded)
        check_names(self.found)
        problems = Problems()
        with problems.collected():
            check_tables(config, self.found)
        for plugin in self.found:
            with problems.collected():
                configure(plugin, config.tables.get(plugin.name, {}))
        problems.tell()
        for plugin in in_order(self.found, config.order):
            if plugin.policy.enabled and plugin.module is not None:
                _register(self._manager, plugin)
                self._plugins.append(plugin)
        self._implementations = _implementations(self._manager, self._plugins)

    def __iter__(self) -> Iterator[Plugin]:
        """Return the plugins that are in use, in the order they were registered."""
        return iter(self._plugins)

    def hooks(self, plugin: Plugin) -> list[str]:
        """Return the names of the hooks that a plugin implements."""
        callers = self._manager.get_hookcallers(plugin.module) if plugin.module is not None else None
        return sorted(caller.name for caller in callers or [])

    # --- registration

    def register_backends(self, register: hookspecs.RegisterBackend) -> None:
        """Let every plugin add its backend types."""
        self._call_now("register_backends", register=register)

    def register_dialects(self, register: hookspecs.RegisterDialect) -> None:
        """Let every plugin add its client APIs."""
        self._call_now("register_dialects", register=register)

    def register_routes(self, register: Callable[[Plugin, Route], None], context: Context) -> None:
        """Let every plugin add its routes; ``register`` is called with the plugin and the route."""
        self._call_now(
            "register_routes", lambda plugin: {"register": partial(register, plugin)}, context=context
        )

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

    async def admit_request(self, request: Request, target: Target, context: Context) -> None:
        """Let every plugin refuse the request, in order."""
        await self._all("admit_request", request=request, target=target, context=context)

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
        """Let every plugin wrap the iterator of the one before; without this hook, events cost nothing."""
        for implementation in self._implementations["wrap_events"]:
            wrapped = await _ask(implementation, {"request": request, "events": events})
            if wrapped is not None and not isinstance(wrapped, AsyncIterable):
                implementation.fail(TypeError(f"it gave a {_type(wrapped)}, which is no async iterator"))
            elif wrapped is not None:
                events = _guarded(implementation, wrapped, events)
        return events

    # --- announcements

    async def configured(self, old: Config | None, new: Config, context: Context) -> None:
        """Pass every plugin the previous configuration and the one that has just taken effect."""
        await self._all("configured", old=old, new=new, context=context)

    async def shutdown(self, still_used: Collection[Any] = ()) -> None:
        """Tell every plugin that it is no longer used, except those whose code is in ``still_used``."""
        await self._telling.finish(_TELLING_SECONDS)
        for implementation in self._implementations["shutdown"]:
            if implementation.plugin.module not in still_used:
                await _ask(implementation, {})

    async def log_request(self, record: Record) -> None:
        """Pass the record to every plugin. What they raise does not affect the answer.

        If the caller is cancelled, as it is when a client leaves, all plugins still get the record: some of
        them have reserved something for the request.
        """
        telling = self._all("log_request", record=record)
        if any(one.waits for one in self._implementations["log_request"]):
            await asyncio.shield(self._telling.start(telling, "log-request"))
        else:
            await telling

    # --- how a hook is called

    def _call_now(
        self, hook: str, own: Callable[[Plugin], dict[str, Any]] = lambda _: {}, **arguments: Any
    ) -> None:
        """Call all implementations, each with these arguments and with its ``own``."""
        problems = Problems()
        for implementation in self._implementations[hook]:
            plugin = implementation.plugin
            work = partial(implementation.call, arguments | own(plugin))
            _, error = threads.within(plugin.policy.timeout, work, f"plugin-{plugin.name}-{hook}")
            if isinstance(error, ConfigError):
                problems.add(error)
            elif error is not None:  # whatever a plugin raises is reported in its name
                problems.add(ConfigError(f"plugin {plugin.name!r} failed in {hook}: {described(error)}"))
        problems.tell()

    async def _first(self, hook: str, **arguments: Any) -> Any:
        """Call the implementations one after the other, until one returns an answer; return that."""
        task = current_task()
        for implementation in self._implementations[hook]:
            answer = implementation.begin(arguments, task)
            if answer is not None and inspect.isawaitable(answer):
                answer = await implementation.finish(answer)
            if answer is not None:
                return answer

        return None

    async def _all(self, hook: str, **arguments: Any) -> None:
        """Call all implementations, one after the other."""
        task = current_task()
        for implementation in self._implementations[hook]:
            answer = implementation.begin(arguments, task)
            if answer is not None and inspect.isawaitable(answer):
                await implementation.finish(answer)


async def _ask(implementation: Implementation, arguments: dict[str, Any]) -> Any:
    answer = implementation.begin(arguments, current_task())
    if answer is not None and inspect.isawaitable(answer):
        return await implementation.finish(answer)

    return answer


async def _guarded(implementation: Implementation, wrapped: AsyncIterable[Event], inner: Events) -> Events:
    """Yield a plugin's events; what it raises ends the answer, in the plugin's name."""
    yielding = False
    async with aclosing(inner):
        try:
            async for event in wrapped:
                if type(event) not in _KINDS:
                    raise TypeError(f"it yielded a {_type(event)}, which is no event")  # noqa: TRY301  # its fault
                yielding = True
                yield event
                yielding = False
        except BaseException as error:  # half an answer cannot be skipped
            if is_asked_for(error, yielding=yielding):
                raise
            implementation.fail(error, fatal=True)
        finally:
            if isinstance(wrapped, AsyncGenerator) and getattr(wrapped, "ag_frame", wrapped) is not None:
                await implementation.close(wrapped)  # it has not ended by itself


def _type(value: Any) -> str:
    return type(value).__name__


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
    check_marked(plugin.module, f"plugin {plugin.name!r} ({plugin.origin})")
    try:
        manager.register(plugin.module, plugin.name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError) as error:
        message = str(error).splitlines()[-1]
        raise ConfigError(f"plugin {plugin.name!r} ({plugin.origin}): {message}") from error


def load_built_ins(names: Iterable[str] = BUILT_INS) -> list[Plugin]:
    """Import the built-in plugins by their dotted names."""
    return [Plugin(name.rpartition(".")[2], importlib.import_module(name), "built-in") for name in names]
