"""One running configuration: built from ``proxy.toml``, started, and stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from claude_max_proxy.backend import Backend, ModelInfo
from claude_max_proxy.config import Config, convert, near_miss, quoted
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.drop_ins import load_entry_points, load_folder
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.gateway import Gateway
from claude_max_proxy.hookspecs import BuildBackend
from claude_max_proxy.models import resolve
from claude_max_proxy.plugins import Plugins, load_built_ins


APPLICATION = "claude-max-proxy"


class Runtime:
    """Everything that one configuration needs to answer requests."""

    def __init__(self, config: Config) -> None:
        """Load the plugins and build what they offer; raise :class:`ConfigError` for what cannot be.

        Nothing is started before :meth:`start`.
        """
        self.config = config
        self.plugins = load_plugins(config)
        self.dialects = _dialects(self.plugins)
        self.backends = _backends(self.plugins, config)
        self.gateway = Gateway(config, self.plugins, self.backends)
        _check_models(config, self.backends)

    async def start(self) -> None:
        """Start every backend; when one cannot, stop all again."""
        try:
            for backend in self.backends.values():
                await backend.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop every backend, all at once; each bounds its own time."""
        await asyncio.gather(*(backend.stop() for backend in self.backends.values()), return_exceptions=True)

    def models(self) -> dict[str, ModelInfo]:
        """Describe the models on offer, by the name that clients use; patterns are left out."""
        names = [name for name in self.config.models if "*" not in name]
        return {name: info for name in names if (info := self.describe(name))}

    def describe(self, name: str) -> ModelInfo | None:
        """Describe one model by the name that clients use, ``None`` when ``[models]`` does not know it."""
        target = resolve(name, self.config)
        return self.backends[target.backend].describe(target.model) if target else None

    def health(self) -> dict[str, Any]:
        """Say how every backend stands, and the worst of it."""
        backends = {name: backend.health() for name, backend in self.backends.items()}
        statuses = {str(facts.get("status", "ok")) for facts in backends.values()}
        worst = next((s for s in ("unavailable", "degraded") if s in statuses), "ok")
        return {"status": worst, "backends": backends}


def load_plugins(config: Config) -> Plugins:
    """Load the built-ins, the installed packages, and the drop-in folders of ``[plugins] paths``."""
    found = [*load_built_ins(), *load_entry_points()]
    for folder in plugin_folders(config):
        found += load_folder(folder)
    return Plugins(found, config.plugins)


def plugin_folders(config: Config) -> list[Path]:
    """Give the drop-in folders; relative ones stand beside ``proxy.toml``."""
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


def _dialects(plugins: Plugins) -> dict[str, Dialect]:
    dialects: dict[str, Dialect] = {}

    def register(dialect: Dialect) -> None:
        if dialect.name in dialects:
            raise ConfigError(f"two plugins offer the dialect {dialect.name!r}")
        dialects[dialect.name] = dialect

    plugins.register_dialects(register)
    return dialects


def _backends(plugins: Plugins, config: Config) -> dict[str, Backend]:
    types: dict[str, tuple[type[msgspec.Struct], BuildBackend]] = {}

    def register(type_: str, settings: type[msgspec.Struct], build: BuildBackend) -> None:
        if type_ in types:
            raise ConfigError(f"two plugins offer the backend type {type_!r}")
        types[type_] = (settings, build)

    plugins.register_backends(register)
    backends = {}
    for name, table in config.backends.items():
        path = f"backends.{quoted(name)}"
        if table["type"] not in types:
            raise ConfigError(
                f"{path}.type: unknown backend type {table['type']!r}{near_miss(table['type'], types)}"
            )
        settings, build = types[table["type"]]
        own = {key: value for key, value in table.items() if key != "type"}
        backends[name] = build(name, convert(own, settings, path))
    return backends


def _check_models(config: Config, backends: dict[str, Backend]) -> None:
    for name, entry in config.models.items():
        backend = entry.to.partition("/")[0]
        if backend not in backends:
            raise ConfigError(
                f"models.{quoted(name)}: there is no backend {backend!r}{near_miss(backend, backends)}"
            )
