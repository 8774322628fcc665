"""What plugins may see of one running configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from claude_max_proxy.backend import Backend, ModelInfo
from claude_max_proxy.config import Config
from claude_max_proxy.context import Context, PluginFacts, Reload
from claude_max_proxy.gateway.underway import Underway
from claude_max_proxy.plugin.plugins import Plugins
from claude_max_proxy.record import Record


_Thing = TypeVar("_Thing")


class RuntimeContext(Context):
    """The context of one configuration.

    ``reload`` is the last reload, ``models``, ``health`` and ``settings`` return what the methods of
    these names do.
    """

    reload: Reload | None = None

    def __init__(
        self,
        config: Config,
        backends: Mapping[str, Backend],
        plugins: Plugins,
        underway: Underway,
        *,
        models: Callable[[], dict[str, ModelInfo]],
        health: Callable[[], dict[str, Any]],
        settings: Callable[[], dict[str, dict[str, Any]]],
        before: RuntimeContext | None = None,
    ) -> None:
        """Show these parts of the running proxy.

        What plugins have offered in the context ``before`` can be found until :meth:`settle` is called.
        """
        self.config = config
        self.backends = backends
        self._plugins = plugins
        self._underway = underway
        self._models = models
        self._health = health
        self._settings = settings
        self._inherited = dict(before.offered) if before is not None else {}
        self.offered: dict[type, object] = {}

    def models(self) -> dict[str, ModelInfo]:
        """Return descriptions of the models on offer."""
        return self._models()

    def health(self) -> dict[str, Any]:
        """Return the state of the proxy."""
        return self._health()

    def settings(self) -> dict[str, dict[str, Any]]:
        """Return the tables of the configuration."""
        return self._settings()

    def underway(self) -> list[Record]:
        """Return the requests that are being answered."""
        return self._underway.records()

    def plugins(self) -> list[PluginFacts]:
        """Return the plugins."""
        used = list(self._plugins)[::-1]  # pluggy calls what was registered last first
        others = [plugin for plugin in self._plugins.found if plugin not in used]
        return [
            PluginFacts(
                plugin.name,
                plugin.origin,
                self._plugins.hooks(plugin),
                plugin.failures,
                plugin in used,
                plugin.problem,
            )
            for plugin in [*used, *others]
        ]

    def last_reload(self) -> Reload | None:
        """Return the last reload."""
        return self.reload

    def offer(self, thing: object) -> None:
        """Let other plugins find ``thing`` by its type."""
        self.offered[type(thing)] = thing

    def find(self, type_: type[_Thing]) -> _Thing | None:
        """Return what a plugin has offered that has this type, or ``None``."""
        for things in (self.offered, self._inherited):
            for thing in things.values():
                if isinstance(thing, type_):
                    return thing
        return None

    def settle(self) -> None:
        """Forget what was offered with the configuration before: plugins have had their turn."""
        self._inherited.clear()
