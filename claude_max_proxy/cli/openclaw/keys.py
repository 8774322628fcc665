"""Chooses which of the proxy's API keys OpenClaw uses; OpenClaw's file gets a reference, never the key."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ApiKey, near_miss
from claude_max_proxy.config.secret import find_secret


VARIABLE = "CLAUDE_MAX_PROXY_KEY"
NO_KEY = "not-needed"  # OpenClaw does not accept an empty text


class ChosenKey(msgspec.Struct, frozen=True):
    """The chosen key: ``reference`` is what OpenClaw's file contains, ``models`` what the key may ask for."""

    reference: str = NO_KEY
    secret: str = ""
    models: list[str] = []
    note: str = ""

    def __repr__(self) -> str:
        return f"ChosenKey({self.reference!r}, …)"


def chosen_key(keys: Mapping[str, str | ApiKey], name: str | None) -> ChosenKey:
    """Return the key with this name, or the first key. Raises :class:`ConfigError` for an unknown name."""
    if name is not None and name not in keys:
        raise ConfigError(f"[server] api_keys has no {name!r}{near_miss(name, keys)}")
    if not keys:
        return ChosenKey()

    name = name or next(iter(keys))
    entry = keys[name]
    given, models = (entry.key, entry.models) if isinstance(entry, ApiKey) else (entry, [])
    variable = given.removeprefix("env:") if given.startswith("env:") else VARIABLE
    note = f"OpenClaw sends the key {name!r}: set {variable} to it, for instance in ~/.openclaw/.env"
    return ChosenKey(f"${{{variable}}}", _secret(given, name), models, note)


def _secret(given: str, name: str) -> str:
    try:
        return find_secret(given, name)
    except ConfigError:  # the environment of the proxy may have it even if this shell's does not
        return ""
