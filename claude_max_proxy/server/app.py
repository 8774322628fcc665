"""The Litestar application: the dialects' routes, the list of models, health, and errors in each dialect."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast

import litestar
from litestar import Litestar, Response
from litestar.config.cors import CORSConfig
from litestar.config.response_cache import ResponseCacheConfig
from litestar.exceptions import HTTPException
from litestar.handlers import post

from claude_max_proxy import request_id
from claude_max_proxy.concurrency.endings import is_asked_for
from claude_max_proxy.config import ServerConfig
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.errors import (
    BodyTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    ProxyError,
)
from claude_max_proxy.events import Alternative, Event, Events
from claude_max_proxy.record import Record
from claude_max_proxy.request import Request as Asked
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.addresses import Addresses
from claude_max_proxy.server.alternatives import alternatives
from claude_max_proxy.server.answers import SentAnswer
from claude_max_proxy.server.arrival import Arrival
from claude_max_proxy.server.base_urls import Misplaced, Routes
from claude_max_proxy.server.counting import counting_routes
from claude_max_proxy.server.embeddings import embeddings_route
from claude_max_proxy.server.guards import Guard
from claude_max_proxy.server.hosts import Hosts
from claude_max_proxy.server.keys import Keys
from claude_max_proxy.server.openapi import openapi_route
from claude_max_proxy.server.paths import asking, by_path
from claude_max_proxy.server.plugin_routes import dialect_routes, plugin_routes
from claude_max_proxy.server.refusals import refusal
from claude_max_proxy.server.request_headers import added_headers
from claude_max_proxy.server.routes import health_routes, model_routes, probe_routes
from claude_max_proxy.server.running import Running
from claude_max_proxy.server.sending import error_headers, send_error


logger = logging.getLogger(__name__)
_Request = litestar.Request[Any, Any, Any]


class Application(Litestar):
    """The application of one generation.

    It only serves requests to ``hosts``. Wherever it answers GET, it also answers HEAD, with the same headers
    and no body. A request that the connection has refused gets an error, and so does one during which a
    plugin raised an exception such as ``SystemExit``. ``dialect_of`` returns the dialect that a path belongs
    to, ``keys`` are the API keys, and ``running`` contains the answers that are under way.

    A request that is refused before the gateway has seen it leaves a record, too, which ``log_request`` gets;
    ``asking`` are the paths that ask a model, and what their records say as the dialect. ``replica`` is the
    name of this proxy.
    """

    keys: Keys
    running: Running
    hosts: Hosts
    dialect_of: Callable[[str], Dialect]
    log_request: Callable[[Record], Awaitable[None]]
    asking: Mapping[str, str]
    replica: str

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return

        state = scope.setdefault("state", {})
        name = request_id.begin()
        state["arrived"] = time.monotonic()
        try:
            await self._serve_or_refuse(scope, receive, send)
        finally:
            failure = state.pop("failure", None)
            asked = state.get("asks")
            if failure is not None and (asked is None or not asked.recorded):
                await self.log_request(refusal(scope, failure, self.asking, name, self.replica))

    async def _serve_or_refuse(self, scope: Any, receive: Any, send: Any) -> None:
        if "refused" in scope["state"]:
            await self.refuse(scope, scope["state"]["refused"], send)
            return

        try:
            await self._serve(scope, receive, send)
        except BaseException as error:
            if isinstance(error, Exception) or is_asked_for(error):
                raise
            logger.error("%s %s failed", scope.get("method"), scope.get("path"), exc_info=error)
            await self.refuse(scope, InternalError("the proxy failed; its log has the details"), send)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "HEAD":
            await self._answer(scope, receive, send)
            return

        async def send_head(message: Any) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        scope["state"]["head"] = True
        await self._answer({**scope, "method": "GET"}, receive, send_head)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Check the request's host before anything else, then answer."""
        try:
            self.hosts.check_request(scope)
        except ProxyError as error:
            await self.refuse(scope, error, send)
            return
        await super().__call__(scope, receive, send)

    async def refuse(self, scope: Any, error: ProxyError, send: Any) -> None:
        """Answer with an error, in the form of the API that the path belongs to."""
        scope["state"]["failure"] = error
        added = added_headers(scope["state"].get("asks"))
        await send_error(error, self.dialect_of(scope["path"]), send, added)


def build_app(runtime: Runtime) -> Application:
    """Return the application that serves ``runtime``; the caller starts and stops the runtime."""
    dialects = list(runtime.dialects.values())
    config = runtime.config.server
    keys = Keys(config.api_keys, runtime.rates, lasting=runtime.shared is not None)
    running = Running()
    arrival = Arrival(keys, config.max_body_bytes, runtime.capabilities)
    handlers = [
        *(_dialect_route(runtime, dialect, arrival, running) for dialect in dialects),
        *(route for dialect in dialects for route in counting_routes(runtime, dialect, arrival, running)),
        *(handler for dialect in dialects for handler in dialect_routes(dialect, arrival, running)),
        embeddings_route(runtime, arrival, running),
        *model_routes(runtime, keys),
        *health_routes(runtime),
        *probe_routes(runtime),
    ]
    handlers.append(openapi_route(handlers, runtime.dialects, bool(config.api_keys)))
    dialect_of = by_path(dialects)
    own = [*handlers]
    handlers += plugin_routes(runtime.routes, handlers, arrival, running)
    render = _renderer(dialect_of, Routes(path for handler in own for path in handler.paths), _page(runtime))
    application = Application(
        route_handlers=handlers,
        guards=[Guard(config, keys, Addresses(config.trusted_proxies))],
        cors_config=_cors(config) if config.allowed_origins else None,
        exception_handlers={ProxyError: render, HTTPException: render, Exception: render},
        request_max_body_size=config.max_body_bytes,
        logging_config=None,
        openapi_config=None,
        response_cache_config=ResponseCacheConfig(default_expiration=None),
    )
    application.hosts = Hosts([config.host, *config.allowed_hosts])
    application.dialect_of = dialect_of
    application.keys, application.running = keys, running
    application.replica = config.replica
    application.log_request, application.asking = runtime.plugins.log_request, asking(dialects)
    return application


def _cors(config: ServerConfig) -> CORSConfig:
    return CORSConfig(
        allow_origins=config.allowed_origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],  # an allowed page may send any headers; the OpenAI library sends its own
        expose_headers=[
            "retry-after",
            "x-proxy-ignored",
            "x-proxy-replica",
            "x-request-id",
            "x-should-retry",
        ],
        max_age=600,
    )


def _dialect_route(runtime: Runtime, dialect: Dialect, arrival: Arrival, running: Running) -> Any:
    server = runtime.config.server
    opt = {
        "summary": f"The dialect {dialect.name}, whole or streamed",
        "body": dialect.body,
        "streams": True,
        "dialect": dialect.name,
    }

    @post(list(dialect.routes), name=dialect.name, opt=opt)
    async def answer(request: _Request) -> Response[None]:
        exchange = await arrival.exchange(request, dialect)
        events = _events(exchange, partial(runtime.gateway.answer, dialect=dialect.name))
        owner = request.scope["state"]["identity"]
        sending = SentAnswer(exchange, dialect, events, keep_alive=server.keep_alive, hold=server.hold)
        return running.sent(sending, owner)

    return answer


def _events(exchange: Exchange, ask: Callable[[Asked], Events]) -> AsyncGenerator[Event | Alternative, None]:
    """Return the events of the answer, or of as many as the client wants."""
    if exchange.request.answers > 1:
        return alternatives(exchange.request, ask)
    return cast("AsyncGenerator[Event | Alternative, None]", ask(exchange.request))


def _page(runtime: Runtime) -> str:
    """Return where the page for people is, in words."""
    path = next((one.route.path for one in runtime.routes if one.plugin.name == "page"), "")
    return f"the page for people is at {path}" if path else "the page for people is switched off"


def _renderer(
    dialect_of: Callable[[str], Dialect], routes: Routes, page: str
) -> Callable[[_Request, Exception], Response[bytes]]:
    def render(request: _Request, exception: Exception) -> Response[bytes]:
        misplaced = routes.misplaced(request.scope["path"])
        error = _as_proxy_error(request, exception, misplaced, page)
        dialect = dialect_of(misplaced.route if misplaced else request.scope["path"])
        state: Any = request.scope["state"]
        state["failure"] = error
        named = [*error_headers(error), *added_headers(state.get("asks"))]
        headers = {name.decode(): value.decode() for name, value in named}
        if error.status == 401 and state.get("browser"):
            headers["www-authenticate"] = 'Basic realm="claude-max-proxy", charset="UTF-8"'
        if allowed := (getattr(exception, "headers", None) or {}).get("allow"):
            headers["allow"] = allowed.replace("GET", "GET, HEAD")
        return Response(
            dialect.error(error),
            status_code=dialect.status(error),
            headers=headers,
            media_type="application/json",
        )

    return render


def _as_proxy_error(
    request: _Request, exception: Exception, misplaced: Misplaced | None, page: str
) -> ProxyError:
    if isinstance(exception, ProxyError):
        return exception

    if isinstance(exception, RecursionError):
        return InvalidRequest("the request is nested too deeply", code="invalid_json")

    path, method = request.scope["path"], request.scope["method"]
    match getattr(exception, "status_code", 500):
        case 404 if misplaced:
            return NotFound(misplaced.told(path[:200]), code="route_not_found")
        case 404 if path == "/":
            return NotFound(
                f"there is nothing at /: the APIs begin with /v1, and {page}", code="route_not_found"
            )
        case 404:
            return NotFound(f"there is no route {method} {path[:200]}", code="route_not_found")
        case 405:
            return MethodNotAllowed(f"the route {path[:200]} does not take {method}")
        case 413:
            return BodyTooLarge("the body is larger than [server] max_body_bytes")
        case status if 400 <= status < 500:
            return InvalidRequest(f"the request could not be read: {getattr(exception, 'detail', '')}")
        case _:
            logger.error("%s %s failed", method, path, exc_info=exception)
            return InternalError("the proxy failed; its log has the details")
