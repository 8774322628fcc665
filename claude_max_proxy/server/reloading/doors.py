"""Finds out what a new configuration opens. A file that is incomplete while it is saved must open nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from claude_max_proxy.config import Config, quoted
from claude_max_proxy.server.keys import Keys


_LISTS = ("allowed_hosts", "allowed_origins", "trusted_proxies")


def opened(before: Config, after: Config, keys: Keys, new_keys: Keys) -> list[str]:
    """Return, in words, what the configuration ``after`` allows and ``before`` did not.

    Most changes open nothing; this includes a new or changed API key. ``keys`` and ``new_keys`` are the keys
    of the two configurations. Settings that only change with a restart are not compared.
    """
    found = [*_server(before, after), *_agents(before, after), *_plugins(before, after)]
    if wider := new_keys.wider_than(keys):
        found.append(f"lets {_listed(wider)} do more")
    return found


def _server(before: Config, after: Config) -> Iterator[str]:
    if before.server.api_keys and not after.server.api_keys:
        yield "takes all API keys away"
    for name in _LISTS:
        if added := set(getattr(after.server, name)) - set(getattr(before.server, name)):
            yield f"adds {_listed(added)} to {name}"


def _agents(before: Config, after: Config) -> Iterator[str]:
    """Find changed agents: an agent without ``allow`` may do everything that its tools can."""
    for name, entry in after.models.items():
        old = before.models.get(name)
        if entry.agent is not None and (old is None or old.agent != entry.agent):
            yield f"changes what models.{quoted(name)}.agent may do"


def _plugins(before: Config, after: Config) -> Iterator[str]:
    """Find settings that plugins have lost: they may say what a plugin must hold back, or ``on_error``."""
    for name, table in before.plugins.tables.items():
        if lost := table.keys() - after.plugins.tables.get(name, {}).keys():
            yield f"leaves {_listed(lost)} out of [plugins.{quoted(name)}]"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
