"""The files that a configuration consists of: ``proxy.toml``, its plugins, and the files of its secrets."""

from __future__ import annotations

from pathlib import Path

from claude_max_proxy.config import Config
from claude_max_proxy.config.secret import secret_files
from claude_max_proxy.plugin.drop_ins import Stamp, stamp_of
from claude_max_proxy.runtime.runtime import plugin_folders


class Watched:
    """Knows the files of one configuration, and notices changes to them."""

    def __init__(self, config: Config) -> None:
        """Find out which files they are."""
        self._files = [config.source] if config.source else []
        self._files += secret_files(
            [config.server.api_keys, config.shared, config.backends, config.plugins.tables]
        )
        self._folders = plugin_folders(config)

    def stamps(self) -> dict[Path, Stamp]:
        """Return every file's stamp, which changes when the file is written, replaced or removed."""
        plugins = [path for folder in self._folders for path in folder.glob("*.py")]
        return {path: stamp_of(path) for path in (*self._files, *plugins)}
