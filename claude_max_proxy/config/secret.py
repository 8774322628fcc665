"""Keys and passwords: reads them from where ``proxy.toml`` says they are, and hides them.

This module decides what may be shown of a value: by the value's name and, within a URL, by its place.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from claude_max_proxy.config.converting import quoted
from claude_max_proxy.config.problems import Problems
from claude_max_proxy.config.regular_file import read_regular
from claude_max_proxy.config.safe_files import refuse_if_readable_by_others, refuse_if_writable_by_others
from claude_max_proxy.errors import ConfigError


MASK = "********"
_SECRET_WORDS = ("key", "token", "secret", "password", "auth", "credential")
_ANYTHING = frozenset({"env", "headers"})  # tables in which users choose the names
_PUBLIC = frozenset({"tls_key"})  # this is a path, and no secret
# The parts of a URL that may contain a secret: a user's name and password, and the values in a query.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][\w+.-]*://)(?P<user>[^/?#\s]*@)?(?P<place>[^?#]*)(?P<rest>.*)", re.DOTALL
)
_VALUE = re.compile(r"(?<=[?&;#])(?P<name>[^=&;#]*=)?(?P<value>[^&;#]*)")
_MOST_BYTES = 65_536
_PROCESS = secrets.token_bytes(32)


class Secret:
    """A text that may be sent but is never shown: not in a log, a traceback or an error."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Wrap ``text``."""
        self._text = text

    def __repr__(self) -> str:
        return "Secret('***')" if self._text else "Secret('')"

    def __bool__(self) -> bool:
        return bool(self._text)

    def reveal(self) -> str:
        """Return the text, for sending it."""
        return self._text


def resolve_secret(given: str, path: str) -> Secret:
    """Read a secret that is to be sent in a header.

    Raises :class:`ConfigError` as :func:`find_secret` does, and for characters that no header can contain.
    """
    text = find_secret(given, path)
    if not (text.isascii() and text.isprintable()):
        raise ConfigError(f"{path}: holds characters that no HTTP header can carry")
    return Secret(text)


def find_secret(given: str, path: str) -> str:
    """Return the secret for ``env:NAME`` or ``file:PATH``; any other text is the secret itself.

    Raises :class:`ConfigError` if the variable or the file does not exist, if others could write the file, or
    if it is ours and others can read it. The error names ``path``, the place in ``proxy.toml``, but not the
    secret.
    """
    kind, _, place = given.partition(":")
    if place and kind == "env":
        return _variable(place, path)
    if place and kind == "file":
        return _content(place, path)

    return given


def find_secrets(given: Mapping[str, str], *table: str) -> dict[str, str]:
    """Return the table whose path has these parts, each value as :func:`find_secret` finds it.

    Raises :class:`ConfigError` that names every value that is not to be found.
    """
    problems, found = Problems(), {}
    for name, value in given.items():
        with problems.collected():
            found[name] = find_secret(value, ".".join(map(quoted, (*table, name))))
    problems.tell()
    return found


def secret_files(value: Any) -> list[Path]:
    """Return the files that a part of a configuration names as ``file:PATH``, at any depth."""
    named = (text.partition(":") for text in _texts(value))
    return [Path(place).expanduser() for kind, _, place in named if place and kind == "file"]


def fingerprint(value: Any) -> bytes:
    """Return a value that changes when a secret which ``value`` names as ``file:PATH`` or ``env:NAME`` does.

    It reveals nothing about the secrets, and is different each time the proxy is started.
    """
    digest = hashlib.blake2b(key=_PROCESS, digest_size=16)
    for text in _texts(value):
        if text.startswith(("file:", "env:")):
            with contextlib.suppress(ConfigError):  # whoever needs the secret reports the error
                found = find_secret(text, "").encode()
                digest.update(b"%d:%b" % (len(found), found))
    return digest.digest()


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for one in value.values():
                yield from _texts(one)
        case list() | tuple():
            for one in value:
                yield from _texts(one)
        case msgspec.Struct():
            yield from _texts(msgspec.structs.astuple(value))


def _variable(name: str, path: str) -> str:
    text = os.environ.get(name, "").strip()
    if not text:
        raise ConfigError(f"{path}: the environment variable {name!r} is not set")
    return text


def _content(place: str, path: str) -> str:
    file = Path(place).expanduser()
    try:
        refuse_if_writable_by_others(file, path)
        refuse_if_readable_by_others(file, path)
        text = read_regular(file, _MOST_BYTES).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ConfigError(f"{path}: the file {place!r} cannot be read: {reason}") from error
    if not text:
        raise ConfigError(f"{path}: the file {place!r} is empty")
    return text


def masked(value: str) -> str:
    """Return what may be shown of a secret's setting: where the secret comes from, but never itself."""
    return value if value.startswith(("env:", "file:")) else MASK


def may_be_secret(name: str) -> bool:
    """Return whether the value with this name, in lower case, may be a secret."""
    return name not in _PUBLIC and (name in _ANYTHING or any(word in name for word in _SECRET_WORDS))


def says_nothing(name: str) -> bool:
    """Return whether users choose the names in this table, so that any value in it may be a secret."""
    return name in _ANYTHING


def masked_url(url: str) -> str:
    """Return a URL as it may be shown: without user name, password, and the values in its query."""
    parts = _URL.fullmatch(url)
    if parts is None:
        return url

    user = f"{MASK}@" if parts["user"] else ""
    rest = _VALUE.sub(lambda one: f"{one['name'] or ''}{MASK if one['value'] else ''}", parts["rest"])
    return f"{parts['scheme']}{user}{parts['place']}{rest}"


def secrets_of_url(url: str) -> Iterator[str]:
    """Yield the texts that :func:`masked_url` hides."""
    if parts := _URL.fullmatch(url):
        if user := (parts["user"] or "").removesuffix("@"):
            yield user
            yield from user.split(":", 1)
        yield from (one["value"] for one in _VALUE.finditer(parts["rest"]) if one["value"])
