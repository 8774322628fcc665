"""One running configuration: built from ``proxy.toml``, started, and stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from types import FunctionType
from typing import Any

import msgspec
import platformdirs

from claude_max_proxy.backend import Backend, ModelInfo
from claude_max_proxy.config import Config, convert, near_miss, quoted
from claude_max_proxy.dialect import Dialect, Remembering
from claude_max_proxy.drop_ins import DropIns, load_entry_points
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.fallback import Breakers
from claude_max_proxy.gateway import Gateway
from claude_max_proxy.hookspecs import BuildBackend
from claude_max_proxy.models import check_models, resolve
from claude_max_proxy.plugins import Plugins, load_built_ins
from claude_max_proxy.rate_limits import RateLimits


APPLICATION = "claude-max-proxy"
# How a backend was made: one made the same way need not be made again.
Recipe = tuple[BuildBackend, Any]


class Runtime:
    """Everything that one configuration needs to answer requests.

    ``problem`` says why a newer configuration is not in force.
    """

    drop_ins: DropIns
    breakers: Breakers
    rates: RateLimits

    def __init__(self, config: Config, before: Runtime | None = None) -> None:
        """Load the plugins and build what they offer; raise :class:`ConfigError` for what cannot be.

        What did not change since ``before`` is taken over from it: plugin files, backends with their
        processes and connections, what dialects remember, and what is known of limits. Nothing is started
        before :meth:`start`.
        """
        self.config = config
        self.problem = ""
        self.drop_ins = DropIns(plugin_folders(config), before.drop_ins if before else None)
        self.plugins = Plugins(
            [*load_built_ins(), *load_entry_points(), *self.drop_ins.plugins()], config.plugins
        )
        self.dialects = _dialects(self.plugins, before)
        self.backends, self.recipes = _backends(self.plugins, config, before)
        self.breakers = before.breakers if before else Breakers()
        self.rates = before.rates if before else RateLimits()
        self.gateway = Gateway(config, self.plugins, self.backends, self.breakers)
        self._taken_over = list(before.backends.values()) if before else []
        check_models(config, self.backends)

    async def start(self) -> None:
        """Start every backend that does not run yet; when one cannot, stop those again."""
        try:
            for backend in self._own_backends():
                await backend.start()
        except BaseException:
            await self.stop(self._taken_over)
            raise

    async def stop(self, still_used: Collection[Backend] = ()) -> None:
        """Stop every backend but those in ``still_used``, all at once; each bounds its own time."""
        stopping = [backend for backend in self.backends.values() if backend not in still_used]
        await asyncio.gather(*(backend.stop() for backend in stopping), return_exceptions=True)

    def _own_backends(self) -> list[Backend]:
        return [backend for backend in self.backends.values() if backend not in self._taken_over]

    def models(self) -> dict[str, ModelInfo]:
        """Describe the models on offer, by the name that clients use; patterns are left out."""
        entries = self.config.models.items()
        names = [name for name, entry in entries if "*" not in name and not entry.hidden]
        return {name: info for name in names if (info := self.describe(name))}

    def describe(self, name: str) -> ModelInfo | None:
        """Describe one model by the name that clients use, ``None`` when ``[models]`` does not know it."""
        target = resolve(name, self.config)
        if target is None:
            return None

        info = self.backends[target.backend].describe(target.model)
        return info if info.owner else msgspec.structs.replace(info, owner=target.backend)

    def health(self) -> dict[str, Any]:
        """Say how every backend stands, and what that comes to: "unavailable" only when all of them are."""
        backends = {name: backend.health() for name, backend in self.backends.items()}
        statuses = {str(facts.get("status", "ok")) for facts in backends.values()}
        status = "degraded" if statuses & {"degraded", "unavailable"} else "ok"
        if statuses == {"unavailable"}:
            status = "unavailable"
        facts: dict[str, Any] = {"status": status, "backends": backends}
        if self.problem:
            facts["config_problem"] = self.problem
        if problems := {plugin.name: plugin.problem for plugin in self.plugins.found if plugin.problem}:
            facts["plugin_problems"] = problems
        return facts


def load_plugins(config: Config) -> Plugins:
    """Load the built-ins, the installed packages, and the drop-in folders of ``[plugins] paths``."""
    found = [*load_built_ins(), *load_entry_points(), *DropIns(plugin_folders(config)).plugins()]
    return Plugins(found, config.plugins)


def plugin_folders(config: Config) -> list[Path]:
    """Return the drop-in folders; relative ones stand beside ``proxy.toml``."""
    base = config.source.parent if config.source else user_directory()
    return [base / Path(path).expanduser() for path in config.plugins.paths]


def user_directory() -> Path:
    """The user's own directory for our configuration, by the platform's custom."""
    return Path(platformdirs.user_config_dir(APPLICATION))


def find_config(given: str | None) -> Path | None:
    """Find the configuration: as given, ``./proxy.toml``, the user's directory, or none: the defaults."""
    if given is not None:
        return Path(given)

    for folder in (Path.cwd(), user_directory()):
        path = folder / "proxy.toml"
        if path.is_file():
            return path

    return None


def _dialects(plugins: Plugins, before: Runtime | None) -> dict[str, Dialect]:
    dialects: dict[str, Dialect] = {}

    def register(dialect: Dialect) -> None:
        if dialect.name in dialects:
            raise ConfigError(f"two plugins offer the dialect {dialect.name!r}")
        dialects[dialect.name] = dialect

    plugins.register_dialects(register)
    for name, dialect in dialects.items():
        if before is not None and name in before.dialects and isinstance(dialect, Remembering):
            dialect.take_over(before.dialects[name])
    return dialects


def _backends(
    plugins: Plugins, config: Config, before: Runtime | None
) -> tuple[dict[str, Backend], dict[str, Recipe]]:
    types = backend_types(plugins)
    backends: dict[str, Backend] = {}
    recipes: dict[str, Recipe] = {}
    for name, table in config.backends.items():
        path = f"backends.{quoted(name)}"
        if table["type"] not in types:
            raise ConfigError(
                f"{path}.type: unknown backend type {table['type']!r}{near_miss(table['type'], types)}"
            )
        struct, build = types[table["type"]]
        settings = convert({key: value for key, value in table.items() if key != "type"}, struct, path)
        recipes[name] = (build, settings)
        if before is not None and name in before.recipes and _alike(before.recipes[name], recipes[name]):
            backends[name] = before.backends[name]
        else:
            backends[name] = build(name, settings)
    return backends, recipes


def _alike(one: Recipe, other: Recipe) -> bool:
    """Tell whether two recipes make the same; a lambda is another each time it is registered."""
    (build, settings), (other_build, other_settings) = one, other
    if settings != other_settings:
        return False
    if not (isinstance(build, FunctionType) and isinstance(other_build, FunctionType)):
        return build == other_build
    closed = build.__closure__ or other_build.__closure__
    return build is other_build or (not closed and build.__code__ is other_build.__code__)


def backend_types(plugins: Plugins) -> dict[str, tuple[type[msgspec.Struct], BuildBackend]]:
    """Ask the plugins for the backend types on offer: each one's settings, and how it is built."""
    types: dict[str, tuple[type[msgspec.Struct], BuildBackend]] = {}

    def register(type_: str, settings: type[msgspec.Struct], build: BuildBackend) -> None:
        if type_ in types:
            raise ConfigError(f"two plugins offer the backend type {type_!r}")
        types[type_] = (settings, build)

    plugins.register_backends(register)
    return types
