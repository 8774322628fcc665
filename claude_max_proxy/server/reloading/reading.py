"""Reads a configuration from its files, together with the stamps by which later changes are recognised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from claude_max_proxy.config import Config, ServerConfig, holds_nothing
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.plugin.drop_ins import Stamp
from claude_max_proxy.server.reloading.watched import Watched


# The settings in [server] that cannot change while the process runs.
_FIXED = (
    *("host", "port", "unix_socket", "tls_certificate", "tls_key"),
    *("log_format", "log_file", "log_file_bytes", "log_files"),
)


class Reading(msgspec.Struct, frozen=True):
    """A configuration as its files held it when they had these ``stamps``.

    ``empty`` says that proxy.toml exists but contains no setting, and ``waiting`` are the settings that come
    into force with another start.
    """

    config: Config
    watched: Watched
    stamps: dict[Path, Stamp]
    empty: bool
    waiting: list[str] = []

    def after(self, fixed: ServerConfig, *, empty: bool) -> Reading:
        """Return what may follow a configuration that has these ``fixed`` settings and was ``empty`` itself.

        Raises :class:`ConfigError` if the file has lost all of its settings since then.
        """
        config = self.config
        if self.empty and not empty:
            raise ConfigError(f"{config.source} is empty or gone; restart the proxy to use the defaults")

        waiting = [name for name in _FIXED if getattr(config.server, name) != getattr(fixed, name)]
        kept = {name: getattr(fixed, name) for name in waiting}
        config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **kept))
        return msgspec.structs.replace(self, config=config, waiting=[f"server.{name}" for name in waiting])


def read(load: Callable[[], Config], before: Watched | None) -> Reading:
    """Read a configuration with ``load``; ``before`` knows the files that it consisted of until now.

    The files are read once, if they are the same as before and nobody writes them meanwhile. Otherwise they
    are read again, because a configuration must not be older than its stamps: a change between the two would
    never be noticed. Raises :class:`ConfigError` for what is wrong with it.
    """
    stamps = before.stamps() if before is not None else {}
    config = load()
    watched = Watched(config)
    if (now := watched.stamps()) != stamps:
        stamps, config = now, load()
    return Reading(config, watched, stamps, holds_nothing(config.source))
