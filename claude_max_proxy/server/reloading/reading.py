"""Reads a configuration from its files, together with the stamps by which later changes are recognised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from claude_max_proxy.config import Config, holds_nothing
from claude_max_proxy.config.secret import fingerprint
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.plugin.drop_ins import Stamp
from claude_max_proxy.server.reloading.watched import Watched


# The settings in [server] that cannot change while the process runs.
_FIXED = (
    *("host", "port", "unix_socket", "tls_certificate", "tls_key", "replica"),
    *("log_format", "log_file", "log_file_bytes", "log_files"),
)


class Reading(msgspec.Struct, frozen=True):
    """A configuration as its files held it when they had these ``stamps``.

    ``empty`` says that proxy.toml exists but contains no setting, and ``waiting`` are the settings that come
    into force with another start. ``shared`` changes for each key of ``[shared]`` when its secret does.
    """

    config: Config
    watched: Watched
    stamps: dict[Path, Stamp]
    empty: bool
    shared: dict[str, bytes] = {}
    waiting: list[str] = []

    def after(self, before: Config, shared: dict[str, bytes], *, empty: bool) -> Reading:
        """Return what may follow the configuration ``before``, which was ``empty`` itself or not.

        What cannot change while the process runs stays as it was; ``shared`` is what the reading of
        ``before`` had. Raises :class:`ConfigError` if the file has lost all of its settings since then.
        """
        config = self.config
        if self.empty and not empty:
            raise ConfigError(f"{config.source} is empty or gone; restart the proxy to use the defaults")

        old, new = before.server, config.server
        kept = {name: getattr(old, name) for name in _FIXED if getattr(old, name) != getattr(new, name)}
        server = msgspec.structs.replace(new, **kept)
        waiting = [f"server.{name}" for name in kept] + self._waiting_in_shared(before, shared)
        config = msgspec.structs.replace(config, server=server, shared=before.shared)
        return msgspec.structs.replace(self, config=config, shared=shared, waiting=waiting)

    def _waiting_in_shared(self, before: Config, shared: dict[str, bytes]) -> list[str]:
        """Return the keys of ``[shared]`` that have changed, or whose secrets have."""
        old, new = msgspec.structs.asdict(before.shared), msgspec.structs.asdict(self.config.shared)
        return [
            f"shared.{name}" for name in new if (new[name], self.shared[name]) != (old[name], shared[name])
        ]


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
    shared = {name: fingerprint(value) for name, value in msgspec.structs.asdict(config.shared).items()}
    return Reading(config, watched, stamps, holds_nothing(config.source), shared)
