"""Reads the stop sequences that clients send."""

from __future__ import annotations

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Request


# Every piece of an answer may have to be compared with all of them.
_MOST = 64
_LONGEST = 1024


def read_stops(given: str | list[str] | None, name: str, request: Request) -> list[str]:
    """Return the stop sequences in the parameter ``name``.

    An empty one, which means nothing, is left out and noted in the request as ignored. Raises
    :class:`InvalidRequest` for more than 64 stop sequences, and for one of more than 1,024 characters.
    """
    stops = [given] if isinstance(given, str) else given or []
    if "" in stops:
        request.ignore(name)
    distinct = list(dict.fromkeys(stop for stop in stops if stop))
    if len(distinct) > _MOST:
        raise InvalidRequest.at(name, f"at most {_MOST} stop sequences are taken")
    if any(len(stop) > _LONGEST for stop in distinct):
        raise InvalidRequest.at(name, f"a stop sequence may have at most {_LONGEST} characters")
    return distinct
