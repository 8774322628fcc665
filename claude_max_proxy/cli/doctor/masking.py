"""Makes texts fit to be shown to others: without secrets, and with ``~`` for the home directory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from claude_max_proxy.config.secret import MASK, may_be_secret, secrets_of_url


_SHORTEST = 6  # a shorter value is no secret, and occurs in too many words
_KEYS = re.compile(r"\b(?:sk|key|token)-[A-Za-z0-9_-]{6,}")
_USER = re.compile(r"(?<=://)[^/\s@]+@")


class Masking:
    """Removes the secrets of a configuration and an environment from any text."""

    def __init__(self, tables: Any, environment: Mapping[str, str], home: Path) -> None:
        """Collect the secrets in the ``tables`` of proxy.toml and in the environment."""
        found = {*_secrets(tables, "")}
        found |= {value for name, value in environment.items() if may_be_secret(name.lower())}
        self._secrets = sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True)
        self._home = str(home)

    def __call__(self, text: str) -> str:
        """Return the text without secrets."""
        if len(self._home) > 1:
            text = re.sub(rf"{re.escape(self._home)}(?=[/\\]|\b)", "~", text)
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _USER.sub(f"{MASK}@", _KEYS.sub(MASK, text))


def _secrets(value: Any, name: str) -> Iterator[str]:
    """Yield the texts whose names suggest a secret, except those that only say where a secret is."""
    match value:
        case dict():
            for key, one in value.items():
                yield from _secrets(one, name if may_be_secret(name.lower()) else str(key))
        case list() | tuple():
            for one in value:
                yield from _secrets(one, name)
        case str() if may_be_secret(name.lower()) and not value.startswith(("env:", "file:")):
            yield value
        case str():
            yield from secrets_of_url(value)
