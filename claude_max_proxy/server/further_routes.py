"""The routes that a dialect has beside its answers, and which dialect a path belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from claude_max_proxy.dialect import Dialect, Route, Routed
from claude_max_proxy.server.arrival import Arrival, Incoming


_PARAMETER = re.compile(r"\{(\w+)\}")


def further_routes(dialect: Dialect, arrival: Arrival) -> list[Any]:
    """Return the handlers of a dialect's further routes, none for most dialects."""
    routes = dialect.further_routes if isinstance(dialect, Routed) else ()
    return [_handler(route, dialect, arrival) for route in routes]


def _handler(route: Route, dialect: Dialect, arrival: Arrival) -> Any:
    async def answer(request: Incoming) -> Response[bytes]:
        call = await arrival.call(request)
        return Response(route.answer(call), media_type="application/json")

    path = _PARAMETER.sub(r"{\1:str}", route.path)
    opt = {"summary": route.summary, "dialect": dialect.name}
    return HTTPRouteHandler(path, http_method=route.method, status_code=200, opt=opt)(answer)


def by_path(dialects: Sequence[Dialect]) -> Callable[[str], Dialect]:
    """Return a function that tells whose a path is: a dialect's, that has it or stands above it, or nobody's.

    Nobody's errors are written by the first dialect.
    """
    owners: dict[str, Dialect] = {}
    for dialect in reversed(dialects):
        further = dialect.further_routes if isinstance(dialect, Routed) else ()
        owners |= {route.path.partition("/{")[0]: dialect for route in further}
        owners |= dict.fromkeys(dialect.routes, dialect)

    def dialect_of(path: str) -> Dialect:
        while path not in owners and path:
            path = path.rpartition("/")[0]
        return owners.get(path, dialects[0])

    return dialect_of
