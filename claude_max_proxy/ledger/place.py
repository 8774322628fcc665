"""Where a ledger is: the URL of its database, checked, and as it may be shown. It needs no SQLAlchemy."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import platformdirs

from claude_max_proxy.config.secret import MASK, find_secret, masked_url, secrets_of_url
from claude_max_proxy.errors import ConfigError


SQLITE = "sqlite"
SETTING = "plugins.ledger.url"
_APPLICATION = "claude-max-proxy"
_LONGEST_REASON = 500  # characters
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")


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
    if scheme in _POSTGRESQL and _is_url(url):
        return f"postgresql://{url.partition('://')[2]}"

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


def why(error: BaseException, url: str) -> str:
    """Return why a database cannot be used, on one line and without the password in its URL."""
    cause = getattr(error, "orig", None) or error  # SQLAlchemy's own message has the statement in it
    text = " ".join(f"{type(cause).__name__}: {cause}".split())
    for secret in sorted(filter(None, secrets_of_url(url)), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text[:_LONGEST_REASON]


def _path(url: str) -> str:
    rest = url.removeprefix("sqlite:///")
    if rest in {url, "", ":memory:"} or "?" in rest:
        raise ConfigError(f"{SETTING}: a SQLite database is a file, as in `sqlite:///~/ledger.sqlite`")
    return rest


def _is_url(url: str) -> bool:
    try:
        return bool(urlsplit(url).netloc) or "host=" in urlsplit(url).query
    except ValueError:
        return False
