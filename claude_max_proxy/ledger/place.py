"""Where a ledger is: the URL of its database, checked, and as it may be shown. It needs no SQLAlchemy."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from claude_max_proxy.config.secret import find_secret, masked_url
from claude_max_proxy.databases.urls import postgresql_url
from claude_max_proxy.errors import ConfigError


SQLITE = "sqlite"
SETTING = "plugins.ledger.url"
_APPLICATION = "claude-max-proxy"


def user_folder() -> Path:
    """Return the folder for the user's data, where the ledger is by default and where rows wait."""
    return Path(platformdirs.user_data_dir(_APPLICATION))


def find_url(given: str) -> str:
    """Return the URL for a setting, which may also be ``env:NAME`` or ``file:PATH``; empty is the default.

    Raises :class:`ConfigError` for what names no SQLite file and no PostgreSQL database.
    """
    if not given:
        return f"sqlite:///{user_folder() / 'ledger.sqlite'}"

    url = find_secret(given, SETTING)
    scheme = url.partition("://")[0]
    if scheme == SQLITE:
        return f"sqlite:///{file_of(_path(url))}"
    if postgresql := postgresql_url(url):
        return postgresql

    raise ConfigError(
        f"{SETTING}: it must be `sqlite:///PATH`, `postgresql://USER:PASSWORD@HOST/DATABASE`, or "
        "`env:NAME` or `file:PATH` with such a URL"
    )


def file_of(path: str) -> Path:
    """Return the absolute path of a SQLite file."""
    return Path(path).expanduser().absolute()


def file_of_url(url: str) -> Path | None:
    """Return the file of a SQLite database; ``None`` for PostgreSQL."""
    return file_of(url.removeprefix("sqlite:///")) if url.startswith(SQLITE) else None


def shown(url: str) -> str:
    """Return a URL as it may be shown: without user name, password and the values in its query."""
    return masked_url(url)


def _path(url: str) -> str:
    rest = url.removeprefix("sqlite:///")
    if rest in {url, "", ":memory:"} or "?" in rest:
        raise ConfigError(f"{SETTING}: a SQLite database is a file, as in `sqlite:///~/ledger.sqlite`")
    return rest
