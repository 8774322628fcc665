"""The routes that plugins and dialects answer themselves, without a model."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from claude_max_proxy import route as routes
from claude_max_proxy.concurrency.bounded import attempt
from claude_max_proxy.concurrency.endings import described
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.errors import ConfigError, InternalError, ProxyError
from claude_max_proxy.plugin.plugin import Plugin
from claude_max_proxy.runtime.building import PluginRoute
from claude_max_proxy.server.arrival import Arrival, Incoming
from claude_max_proxy.server.running import Answering, Running
from claude_max_proxy.server.streams import Streamed, send_whole


logger = logging.getLogger(__name__)

_PARAMETER = re.compile(r"\{(\w+)\}")
_LONGEST = 60.0  # seconds until a handler must have answered


def dialect_routes(dialect: Dialect, arrival: Arrival, running: Running) -> list[Any]:
    """Return the handlers of a dialect's further routes; most dialects have none."""
    return [_handler(route, arrival, running, dialect) for route in dialect.further_routes]


def plugin_routes(
    found: Sequence[PluginRoute], others: Sequence[HTTPRouteHandler], arrival: Arrival, running: Running
) -> list[Any]:
    """Return the handlers of the plugins' routes.

    Raises :class:`ConfigError` if a path is one of ``others``, which the proxy itself serves.
    """
    taken = {path for handler in others for path in handler.paths}
    for one in found:
        if _path(one.route) in taken:
            raise ConfigError(
                f"plugin {one.plugin.name!r}: the proxy itself serves the path {one.route.path!r}"
            )
    return [_handler(one.route, arrival, running, plugin=one.plugin) for one in found]


def _path(route: routes.Route) -> str:
    return _PARAMETER.sub(r"{\1:str}", route.path)


def _handler(
    route: routes.Route,
    arrival: Arrival,
    running: Running,
    dialect: Dialect | None = None,
    plugin: Plugin | None = None,
) -> Any:
    async def answer(request: Incoming) -> Response[Any]:
        response = await _answered(route, await arrival.call(request), plugin)
        if isinstance(response.body, bytes):
            return Answering(partial(send_whole, response))
        streamed = Streamed(response, partial(_blame, route, plugin))
        return running.sent(streamed, request.scope["state"]["identity"], awaited=False)

    opt: dict[str, Any] = {"summary": route.summary, "access": route.access}
    if dialect is not None:
        opt["dialect"] = dialect.name
    return HTTPRouteHandler(_path(route), http_method=route.method, status_code=200, opt=opt)(answer)


async def _answered(route: routes.Route, call: routes.Call, plugin: Plugin | None) -> routes.Response:
    """Call the handler of a route; what fails in it is the fault of its plugin alone."""
    error: BaseException | None = None
    answer: Any = None
    try:
        answer = route.answer(call)
    except BaseException as raised:  # such as SystemExit
        error = raised
    if error is None and inspect.isawaitable(answer):
        answer, error = await attempt(answer, _LONGEST, f"route-{route.path}")
    if error is None and isinstance(answer, bytes):
        return routes.Response(answer)
    if error is None and isinstance(answer, routes.Response):
        return answer
    if isinstance(error, ProxyError):
        raise error
    _blame(route, plugin, error or TypeError(f"it returned a {type(answer).__name__}"))
    raise InternalError("the proxy failed; its log has the details") from error


def _blame(route: routes.Route, plugin: Plugin | None, error: BaseException) -> None:
    name = "a dialect"
    if plugin is not None:
        plugin.failures += 1
        name = f"plugin {plugin.name!r}"
    what = f"{route.method} {route.path}"
    logger.error("%s failed in its route %s: %s", name, what, described(error), exc_info=error)
