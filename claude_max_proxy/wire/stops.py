"""Stop sequences, as clients give them."""

from __future__ import annotations

from claude_max_proxy.request import Request


def read_stops(given: str | list[str] | None, name: str, request: Request) -> list[str]:
    """Read the stop sequences of the parameter ``name``; an empty one, which means nothing, is ignored."""
    stops = [given] if isinstance(given, str) else given or []
    if "" in stops:
        request.ignore(name)
    return [stop for stop in stops if stop]
