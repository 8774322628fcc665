"""A file that the log is written to as well, which never grows beyond a bound."""

from __future__ import annotations

import io
import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

from claude_max_proxy import ConfigError


class LogFile(RotatingFileHandler):
    """Writes lines, and begins a new file when one is full. What cannot be written is dropped.

    Only the user can read the files, since they say which programs asked for what.
    """

    def __init__(self, path: Path, *, largest: int, files: int, setting: str) -> None:
        """Open the file at ``path``; raise :class:`ConfigError` if that is not possible.

        There are at most ``files`` files of ``largest`` bytes. ``setting`` is where the path was set.
        """
        path = path.expanduser()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            super().__init__(
                path, maxBytes=largest, backupCount=files - 1, encoding="utf-8", errors="backslashreplace"
            )
        except OSError as error:
            raise ConfigError(f"{setting}: {path} cannot be written: {error.strerror or error}") from error

    def _open(self) -> io.TextIOWrapper:
        return open(
            self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=_for_owner
        )  # type: ignore[return-value]

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Drop the record; logging's own way would print a traceback for each line."""


def _for_owner(path: str, flags: int) -> int:
    """Open a file that only its owner may read."""
    return os.open(path, flags, 0o600)
