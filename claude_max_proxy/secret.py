"""Keys and passwords: where ``proxy.toml`` says they are, and values that never show themselves."""

from __future__ import annotations

import os
from pathlib import Path

from claude_max_proxy.errors import ConfigError


MASK = "********"


class Secret:
    """A text that is sent and never shown: not in a log, not in a traceback, not in an error."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep ``text``."""
        self._text = text

    def __repr__(self) -> str:
        return "Secret('***')" if self._text else "Secret('')"

    def __bool__(self) -> bool:
        return bool(self._text)

    def reveal(self) -> str:
        """Return the text, for whoever sends it."""
        return self._text


def resolve_secret(given: str, path: str) -> Secret:
    """Find a secret that is to be sent in a header.

    Raises :class:`ConfigError` as :func:`find_secret` does, and for what no header can carry.
    """
    text = find_secret(given, path)
    if not (text.isascii() and text.isprintable()):
        raise ConfigError(f"{path}: holds characters that no HTTP header can carry")
    return Secret(text)


def find_secret(given: str, path: str) -> str:
    """Read ``env:NAME``, ``file:PATH``, or the text as it stands.

    Raises :class:`ConfigError` that names ``path``, the place in ``proxy.toml``, for a variable or file that
    is not there, and never the secret.
    """
    kind, _, place = given.partition(":")
    if place and kind == "env":
        return _variable(place, path)
    if place and kind == "file":
        return _content(place, path)

    return given


def _variable(name: str, path: str) -> str:
    text = os.environ.get(name, "").strip()
    if not text:
        raise ConfigError(f"{path}: the environment variable {name!r} is not set")
    return text


def _content(place: str, path: str) -> str:
    try:
        text = Path(place).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(f"{path}: the file {place!r} cannot be read: {reason}") from error
    if not text:
        raise ConfigError(f"{path}: the file {place!r} is empty")
    return text


def masked(value: str) -> str:
    """Return what may be shown: where a secret is to be found, but not one that is written out."""
    return value if value.startswith(("env:", "file:")) else MASK
