"""The error of a database that cannot be asked."""

from __future__ import annotations


class Away(Exception):
    """The database cannot be used now; the message says why, without any secret."""
