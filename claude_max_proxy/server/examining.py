"""Finds all mistakes in a configuration, after the first one has kept it from taking effect."""

from __future__ import annotations

from collections.abc import Callable

from claude_max_proxy.config import Config, Problems, ServerConfig, locate
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.plugin.drop_ins import DropIns
from claude_max_proxy.rate_limits import RateLimits
from claude_max_proxy.runtime.runtime import Runtime, plugin_folders
from claude_max_proxy.server.guards import check_reach
from claude_max_proxy.server.keys import Keys


_Check = Callable[[ServerConfig], object]


def everything(
    error: ConfigError, load: Callable[[], Config], *checks: _Check, before: Runtime | None = None
) -> ConfigError:
    """Return an error with every mistake in what ``load`` reads; ``error`` is the first of them.

    Plugins' files that have not changed since ``before`` are not imported again.
    """
    return ConfigError(*(problems(load, *checks, before=before) or error.messages))


def problems(load: Callable[[], Config], *checks: _Check, before: Runtime | None = None) -> tuple[str, ...]:
    """Return every mistake in what ``load`` reads; each that is about a key begins with its file and line.

    Broken parts are left out, so that the others can be checked; nothing is started. ``checks`` check
    ``[server]``, and raise :class:`ConfigError`.
    """
    found = Problems()
    try:
        config = load()
    except ConfigError as error:
        found.add(error)
        if not isinstance(error.rest, Config):
            return found.messages
        config = error.rest
    for check in (check_reach, _find_keys, *checks):
        with found.collected():
            check(config.server)
    with found.collected():
        known = before.drop_ins if before is not None else None
        Runtime(config, drop_ins=DropIns(plugin_folders(config), known))
    return locate(found.messages, config.source)


def _find_keys(server: ServerConfig) -> None:
    Keys(server.api_keys, RateLimits())
