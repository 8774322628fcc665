"""The URLs of PostgreSQL databases, and why one cannot be used, without the password in its URL."""

from __future__ import annotations

from urllib.parse import urlsplit

from claude_max_proxy.config.secret import MASK, secrets_of_url


_LONGEST_REASON = 500  # characters
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")


def postgresql_url(url: str) -> str:
    """Return the URL of a PostgreSQL database in its usual form; empty if it is something else."""
    scheme, _, rest = url.partition("://")
    return f"postgresql://{rest}" if scheme in _SCHEMES and _is_url(url) else ""


def why(error: BaseException, url: str) -> str:
    """Return why a database cannot be used, on one line and without the password in its URL."""
    cause = getattr(error, "orig", None) or error  # SQLAlchemy's own message has the statement in it
    text = " ".join(f"{type(cause).__name__}: {cause}".split())
    for secret in sorted(filter(None, secrets_of_url(url)), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text[:_LONGEST_REASON]


def _is_url(url: str) -> bool:
    try:
        return bool(urlsplit(url).netloc) or "host=" in urlsplit(url).query
    except ValueError:
        return False
