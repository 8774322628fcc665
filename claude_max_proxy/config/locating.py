"""Puts the file and the line before messages about a key in ``proxy.toml``."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from claude_max_proxy.config.converting import quoted
from claude_max_proxy.config.positions import Lines, line_of, lines_of
from claude_max_proxy.config.regular_file import LARGEST_TEXT, read_regular
from claude_max_proxy.errors import ConfigError


_PATH_END = ": "
_UNKNOWN_KEY = re.compile(r": unknown key '([^']+)'")
_UNKNOWN_TABLE = re.compile(r"^unknown table \[([^\]]+)\]")


@contextlib.contextmanager
def located(file: Path | None) -> Iterator[None]:
    """Let each message of a :class:`ConfigError` that is about a key in ``file`` begin with ``FILE:LINE``."""
    try:
        yield
    except ConfigError as error:
        messages = locate(error.messages, file)
        if messages == error.messages:
            raise
        raise ConfigError(*messages, rest=error.rest) from error


def locate(messages: tuple[str, ...], file: Path | None) -> tuple[str, ...]:
    """Return the messages, those that are about a key in ``file`` with its place."""
    try:
        text = read_regular(file, LARGEST_TEXT).decode() if file is not None else ""
    except (OSError, UnicodeDecodeError):  # its message says so
        text = ""
    lines = lines_of(text)
    return tuple(_with_place(message, file, lines) for message in messages) if lines else messages


def _with_place(message: str, file: Path | None, lines: Lines) -> str:
    key = message.partition(_PATH_END)[0]
    if unknown := _UNKNOWN_TABLE.search(message):
        key = quoted(unknown[1])
    elif unknown := _UNKNOWN_KEY.search(message):
        key = f"{key}.{quoted(unknown[1])}"
    line = line_of(lines, key)
    return f"{file}:{line}: {message}" if line else message
