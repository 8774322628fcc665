"""One running configuration: built from ``proxy.toml``, started, and stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from claude_max_proxy import __version__
from claude_max_proxy.backend import Backend, ModelInfo
from claude_max_proxy.capabilities.honoured import Known
from claude_max_proxy.concurrency.bounded import attempt
from claude_max_proxy.concurrency.endings import described
from claude_max_proxy.config import Config, Problems, ServerConfig, located, quoted
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.gateway.fallback import Breakers
from claude_max_proxy.gateway.gateway import Gateway
from claude_max_proxy.gateway.model_map import check_models, expected, resolve
from claude_max_proxy.gateway.underway import Underway
from claude_max_proxy.plugin.drop_ins import DropIns, load_entry_points
from claude_max_proxy.plugin.plugins import Plugins, load_built_ins
from claude_max_proxy.rate_limits import RateLimits, Rates
from claude_max_proxy.runtime import effective
from claude_max_proxy.runtime.building import (
    PluginRoute,
    Recipe,
    build_backends,
    build_dialects,
    build_plugins,
    build_routes,
    known_capabilities,
)
from claude_max_proxy.runtime.context import RuntimeContext
from claude_max_proxy.shared import Shared, shared_of


logger = logging.getLogger(__name__)

APPLICATION = "claude-max-proxy"
_START_TIMEOUT, _STOP_TIMEOUT = 60.0, 30.0


class Runtime:
    """Everything that one configuration needs to answer requests.

    ``stopping`` says that the proxy is going to stop, so that new requests should go elsewhere.
    ``problem`` says why a newer configuration is not in force; it is empty if there is no such problem.
    ``task_problems`` returns what is wrong with the tasks that look after this one.
    """

    drop_ins: DropIns
    plugins: Plugins
    dialects: dict[str, Dialect]
    backends: dict[str, Backend]
    recipes: dict[str, Recipe]
    capabilities: Known
    context: RuntimeContext
    routes: list[PluginRoute]
    underway: Underway
    breakers: Breakers
    rates: Rates
    shared: Shared | None

    def __init__(
        self, config: Config, before: Runtime | None = None, drop_ins: DropIns | None = None
    ) -> None:
        """Load the plugins, and build the dialects and backends.

        What has not changed since the runtime ``before`` is taken over from it: plugin files, backends with
        their processes and connections, what dialects remember, and the state of limits. Nothing is started
        yet; :meth:`start` does that. ``drop_ins`` are those of ``config``, if they are imported already.
        Raises :class:`ConfigError` if something cannot be loaded or built.
        """
        self.config = config
        self.problem = ""
        self.stopping = False
        self.task_problems: Callable[[], dict[str, str]] = dict
        self.breakers = before.breakers if before else Breakers()
        self.underway = before.underway if before else Underway()
        with located(config.source):
            self.shared = (
                before.shared if before else shared_of(config.shared, __version__, config.server.replica)
            )
            self._build(before, drop_ins)
        alone = RateLimits() if self.shared is None else self.shared.rates
        self.rates = before.rates if before else alone
        self.gateway = Gateway(self.context, self.plugins, self.breakers, self.capabilities, self.underway)
        self._taken_over = list(before.backends.values()) if before else []

    def _build(self, before: Runtime | None, drop_ins: DropIns | None) -> None:
        config = self.config
        self.drop_ins = drop_ins or DropIns(plugin_folders(config), before.drop_ins if before else None)
        found = [*load_built_ins(), *load_entry_points(), *self.drop_ins.plugins()]
        problems = Problems()
        self.plugins = build_plugins(found, config.plugins, problems)
        with problems.collected():
            self.dialects = build_dialects(self.plugins, before)
            if self.shared is not None:
                for name, dialect in self.dialects.items():
                    dialect.share(self.shared.vault(name))
        with problems.collected():
            self.backends, self.recipes = build_backends(self.plugins, config, before, problems)
        if not problems.messages:
            with problems.collected():
                self.capabilities = known_capabilities(self.dialects, self.backends)
            self.context = RuntimeContext(
                config,
                self.backends,
                self.plugins,
                self.underway,
                models=self.models,
                health=self.health,
                settings=self.settings,
                before=before.context if before else None,
            )
            with problems.collected():
                self.routes = build_routes(self.plugins, self.context)
        with problems.collected():
            check_models(config, config.backends)
        problems.tell()

    async def start(self) -> None:
        """Start every backend that does not run yet. If one fails, stop those again and raise its error.

        The first runtime also connects to what replicas share; that it is away is no error.
        """
        if self.shared is not None:
            if self.shared.plans is not None:
                self.breakers.tell, self.shared.plans.on_limit = (
                    self.shared.plans.tell_limit,
                    self.breakers.hear,
                )
            await self.shared.open()
        models = expected(self.config)
        for name, backend in self.backends.items():
            backend.expect(models.get(name, ()))
        try:
            for name, backend in self.backends.items():
                if backend not in self._taken_over:
                    await _start(name, backend)
        except BaseException:
            await self.stop(self._taken_over)
            raise

    async def configured(self, before: Runtime | None) -> None:
        """Tell the plugins that this configuration has taken the place of ``before``."""
        old = before.config if before is not None else None
        if self.shared is not None and self.shared.plans is not None:
            self.shared.plans.backends = self.backends
        if self.shared is not None:
            self.context.offer(self.shared.spending)
            self.context.offer(self.shared.replicas)
            self.shared.replicas.address = _address(self.config.server)
            self.shared.replicas.measure = self._measure
        await self.plugins.configured(old, self.config, self.context)
        self.context.settle()

    def _measure(self) -> tuple[int, int]:
        """Return how many requests are answered, and how many processes the backends say they run."""
        said = [backend.health().get("processes") for backend in self.backends.values()]
        counts = [pair for one in said if isinstance(one, dict) for pair in one.items()]
        processes = sum(value for name, value in counts if name != "queued" and isinstance(value, int))
        return self.underway.count, processes

    async def stop(self, still_used: Collection[Backend] = ()) -> None:
        """Stop all backends except those in ``still_used``, at the same time and within a time limit."""
        stopping = {name: one for name, one in self.backends.items() if one not in still_used}
        await asyncio.gather(*(_stop(name, backend) for name, backend in stopping.items()))

    async def close(self) -> None:
        """Close what all configurations have in common, after the last of them has been stopped."""
        if self.shared is not None:
            await self.shared.close()

    def keep_only(self, owners: Collection[str]) -> None:
        """Forget everything that is kept for other owners than these (see ``Client.owner``)."""
        self.rates.keep_only(owners)
        for dialect in self.dialects.values():
            dialect.keep_only(owners)
        for backend in self.backends.values():
            backend.keep_only(owners)

    def models(self) -> dict[str, ModelInfo]:
        """Return descriptions of the models on offer, by the names that clients use.

        Patterns and hidden names are left out.
        """
        entries = self.config.models.items()
        names = [name for name, entry in entries if "*" not in name and not entry.hidden]
        return {name: info for name in names if (info := self.describe(name))}

    def describe(self, name: str) -> ModelInfo | None:
        """Return the description of a model by the name that clients use.

        Returns ``None`` if ``[models]`` does not contain it.
        """
        target = resolve(name, self.config)
        if target is None:
            return None

        info = self.backends[target.backend].describe(target.model)
        return info if info.owner else msgspec.structs.replace(info, owner=target.backend)

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return the tables of the configuration with every default, by their names, with secrets masked."""
        found = effective.tables(self.config, self.recipes, self.plugins)
        return {
            ".".join(map(quoted, path)): {name: effective.shown(name, value) for name, value in table.items()}
            for path, table in found
        }

    def health(self) -> dict[str, Any]:
        """Return the state of the whole proxy and of each backend, for ``/health``.

        The proxy is only "unavailable" if all backends are.
        """
        backends = {name: _health(backend) for name, backend in self.backends.items()}
        statuses = {str(facts.get("status", "ok")) for facts in backends.values()}
        status = "degraded" if statuses & {"degraded", "unavailable"} else "ok"
        if statuses == {"unavailable"}:
            status = "unavailable"
        shared = self.shared.health() if self.shared is not None else {}
        if status == "ok" and shared.get("status") == "degraded":
            status = "degraded"
        facts: dict[str, Any] = {"status": status, "backends": backends}
        if shared:
            facts["shared"] = shared
        if self.problem:
            facts["config_problem"] = self.problem
        if problems := {plugin.name: plugin.problem for plugin in self.plugins.found if plugin.problem}:
            facts["plugin_problems"] = problems
        if failures := {plugin.name: plugin.failures for plugin in self.plugins if plugin.failures}:
            facts["plugin_failures"] = failures
        if stopped := self.task_problems():
            facts["task_problems"] = stopped
        return facts


async def _start(name: str, backend: Backend) -> None:
    """Start a backend; raise what it raises, or :class:`ConfigError` if it takes too long."""
    _, error = await attempt(backend.start(), _START_TIMEOUT, f"start-{name}")
    if isinstance(error, TimeoutError):
        raise ConfigError(f"backends.{quoted(name)} did not start: {error}") from error
    if error is not None and not isinstance(error, Exception):
        raise ConfigError(f"backends.{quoted(name)} did not start: {described(error)}") from error
    if error is not None:
        raise error


async def _stop(name: str, backend: Backend) -> None:
    """Stop a backend within a time limit; what it raises is logged, and does not affect other backends."""
    _, error = await attempt(backend.stop(), _STOP_TIMEOUT, f"stop-{name}")
    if error is not None:
        logger.error("the backend %r did not stop in order: %s", name, described(error), exc_info=error)


def load_plugins(config: Config) -> Plugins:
    """Load the built-in plugins, those in installed packages, and those in ``[plugins] paths``."""
    found = [*load_built_ins(), *load_entry_points(), *DropIns(plugin_folders(config)).plugins()]
    return Plugins(found, config.plugins)


def plugin_folders(config: Config) -> list[Path]:
    """Return the folders of drop-ins; relative paths start from the folder of ``proxy.toml``."""
    base = config.source.parent if config.source else user_directory()
    return [base / Path(path).expanduser() for path in config.plugins.paths]


def user_directory() -> Path:
    """Return the user's directory for our configuration, which depends on the platform."""
    return Path(platformdirs.user_config_dir(APPLICATION))


def find_config(given: str | None) -> Path | None:
    """Return the path of the configuration, or ``None`` if there is none and the defaults apply.

    It is the ``given`` path, ``./proxy.toml``, or ``proxy.toml`` in the user's directory, in this order.
    """
    if given is not None:
        return Path(given)

    for folder in (Path.cwd(), user_directory()):
        path = folder / "proxy.toml"
        if path.is_file():
            return path

    return None


def _address(server: ServerConfig) -> str:
    """Return where others reach this proxy; empty if only this machine can."""
    local = server.unix_socket or server.host in {"127.0.0.1", "::1", "localhost"}
    return "" if local else f"{server.host}:{server.port}"


def _health(backend: Backend) -> dict[str, Any]:
    """Return a backend's state, with the windows of its plan."""
    windows = msgspec.to_builtins(backend.windows())
    facts = [{name: value for name, value in one.items() if value not in (None, "")} for one in windows]
    return {**backend.health(), **({"windows": facts} if facts else {})}
