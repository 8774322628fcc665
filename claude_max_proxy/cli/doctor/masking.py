"""What may be shown to others: no secrets, and the home directory as ``~``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from claude_max_proxy.cli.configuring import may_be_secret
from claude_max_proxy.secret import MASK


_SHORTEST = 6  # a shorter value is no secret, and stands in too many words
_KEYS = re.compile(r"\b(?:sk|key|token)-[A-Za-z0-9_-]{6,}")
_USER = re.compile(r"(?<=://)[^/\s@]+@")


class Masking:
    """Takes the secrets of a configuration and an environment out of any text."""

    def __init__(self, tables: Any, environment: Mapping[str, str], home: Path) -> None:
        """Collect what is secret in the raw ``tables`` of proxy.toml and in the environment."""
        found = {*_secrets(tables, "")}
        found |= {value for name, value in environment.items() if may_be_secret(name.lower())}
        self._secrets = sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True)
        self._home = str(home)

    def __call__(self, text: str) -> str:
        """Return the text without them."""
        if len(self._home) > 1:
            text = re.sub(rf"{re.escape(self._home)}(?=[/\\]|\b)", "~", text)
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _USER.sub(f"{MASK}@", _KEYS.sub(MASK, text))


def _secrets(value: Any, name: str) -> Iterator[str]:
    """Return the texts under names that may be secrets, but not where those say where one is found."""
    match value:
        case dict():
            for key, one in value.items():
                yield from _secrets(one, name if may_be_secret(name.lower()) else str(key))
        case list() | tuple():
            for one in value:
                yield from _secrets(one, name)
        case str() if may_be_secret(name.lower()) and not value.startswith(("env:", "file:")):
            yield value
