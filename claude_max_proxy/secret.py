"""Secrets in ``proxy.toml``: written out, or where they are to be found. They are never printed."""

from __future__ import annotations

import os
from pathlib import Path

from claude_max_proxy.errors import ConfigError


MASK = "********"


def resolve_secret(value: str, path: str) -> str:
    """Give the secret that ``value`` means: ``env:NAME``, ``file:PATH``, or itself.

    Raises :class:`ConfigError` that names ``path``, the place in ``proxy.toml``, and never the secret.
    """
    kind, _, where = value.partition(":")
    if kind == "env" and where:
        return _checked(os.environ.get(where, ""), f"{path}: the environment variable {where!r} is not set")
    if kind == "file" and where:
        try:
            text = Path(where).expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {where} cannot be read: {error}") from error
        return _checked(text.strip(), f"{path}: {where} is empty")

    return value


def masked(value: str) -> str:
    """Give what may be shown: where a secret is to be found, but not one that is written out."""
    return value if value.startswith(("env:", "file:")) else MASK


def _checked(secret: str, problem: str) -> str:
    if not secret:
        raise ConfigError(problem)
    return secret
