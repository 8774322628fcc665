"""Sets up the log of ``serve`` as ``[server]`` says, and follows its level at a reload."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from claude_max_proxy.cli.log.file import LogFile
from claude_max_proxy.cli.log.json_format import JsonFormatter
from claude_max_proxy.cli.log.queued import AT_ONCE, QueuedHandler
from claude_max_proxy.cli.log.text_format import TextFormatter, shows_colour
from claude_max_proxy.config import ServerConfig


_WITH_DATE = "%Y-%m-%d %H:%M:%S"
# Libraries that log more than anybody wants to read, unless everything is logged.
_TALKATIVE = ("uvicorn", "uvicorn.error", "httpx", "httpcore", "aiohttp", "asyncio")


def set_up(config: ServerConfig, *, file_setting: str = "server.log_file") -> None:
    """Write the log to standard error and, if there is one, to the file.

    ``file_setting`` is where the file was set, for the :class:`ConfigError` if it cannot be written.
    """
    terminal: logging.Handler = logging.StreamHandler()
    terminal.setFormatter(_formatter(config, colour=shows_colour(sys.stderr)))
    writers, at_once = [terminal], AT_ONCE
    if config.log_file:
        path = Path(config.log_file)
        file = LogFile(path, largest=config.log_file_bytes, files=config.log_files, setting=file_setting)
        file.setFormatter(_formatter(config, time=_WITH_DATE))
        writers.append(file)
        at_once = min(AT_ONCE, config.log_file_bytes // 10)  # so that files are about as large as they may be
    for writer in writers:
        logging.getLogger().addHandler(QueuedHandler(writer, at_once=at_once))
    set_level(config)


def set_level(config: ServerConfig) -> None:
    """Log what has at least the level that the configuration says."""
    logging.getLogger().setLevel(config.log_level.upper())
    level = logging.INFO if config.log_level == "debug" else logging.WARNING
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(level)


def _formatter(config: ServerConfig, *, time: str = "%H:%M:%S", colour: bool = False) -> logging.Formatter:
    if config.log_format == "json":
        return JsonFormatter(config.replica)
    return TextFormatter(time, colour=colour, replica=config.replica)
