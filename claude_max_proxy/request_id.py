"""The id of the request that is being served: it is in the answer's headers, the log, the record and traces.

Tasks inherit it from the task in which they are started, so whatever is done for a request can tell which
request it is for.
"""

from __future__ import annotations

import secrets
from contextvars import ContextVar


__all__ = ["begin", "current", "go_on_as"]

_current: ContextVar[str] = ContextVar("request_id", default="")


def begin() -> str:
    """Return a new id, sixteen hexadecimal digits, which is the current one from now on in this task."""
    name = secrets.token_hex(8)
    _current.set(name)
    return name


def current() -> str:
    """Return the id of the request that is being served; it is empty if there is none."""
    return _current.get()


def go_on_as(name: str) -> None:
    """Make ``name`` the current id in this task: one of several answers to a request has an id of its own."""
    _current.set(name)
