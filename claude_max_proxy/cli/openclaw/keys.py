"""Which of the proxy's API keys OpenClaw shows, by a reference and never by the key itself."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from claude_max_proxy import ConfigError
from claude_max_proxy.config import ApiKey, near_miss
from claude_max_proxy.secret import find_secret


VARIABLE = "CLAUDE_MAX_PROXY_KEY"
NO_KEY = "not-needed"  # OpenClaw wants a text


class ChosenKey(msgspec.Struct, frozen=True):
    """``reference`` is what OpenClaw's file says; ``models`` are the patterns that the key may ask for."""

    reference: str = NO_KEY
    secret: str = ""
    models: list[str] = []
    note: str = ""

    def __repr__(self) -> str:
        return f"ChosenKey({self.reference!r}, …)"


def chosen_key(keys: Mapping[str, str | ApiKey], name: str | None) -> ChosenKey:
    """Take the key of this name, or the first; raise :class:`ConfigError` for a name that is none."""
    if name is not None and name not in keys:
        raise ConfigError(f"[server] api_keys has no {name!r}{near_miss(name, keys)}")
    if not keys:
        return ChosenKey()

    name = name or next(iter(keys))
    entry = keys[name]
    given, models = (entry.key, entry.models) if isinstance(entry, ApiKey) else (entry, [])
    variable = given.removeprefix("env:") if given.startswith("env:") else VARIABLE
    note = f"OpenClaw shows the key {name!r}: set {variable} to it, for instance in ~/.openclaw/.env"
    return ChosenKey(f"${{{variable}}}", _secret(given, name), models, note)


def _secret(given: str, name: str) -> str:
    try:
        return find_secret(given, name)
    except ConfigError:  # the proxy itself may know it where this shell does not
        return ""
