"""The Litestar application: dialects' routes, the model list, health, errors in the dialect's envelope."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import litestar
from litestar import Litestar, Response
from litestar.config.cors import CORSConfig
from litestar.config.response_cache import ResponseCacheConfig
from litestar.exceptions import HTTPException
from litestar.handlers import post
from litestar.types import ASGIApp

from claude_max_proxy.config import ServerConfig
from claude_max_proxy.dialect import Dialect, status_of
from claude_max_proxy.errors import (
    BodyTooLarge,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    ProxyError,
)
from claude_max_proxy.runtime import Runtime
from claude_max_proxy.server.answers import Answer, error_headers
from claude_max_proxy.server.arrival import Arrival
from claude_max_proxy.server.base_urls import Misplaced, Routes
from claude_max_proxy.server.counting import counting_routes
from claude_max_proxy.server.embeddings import embeddings_route
from claude_max_proxy.server.further_routes import by_path, further_routes
from claude_max_proxy.server.guards import Guard
from claude_max_proxy.server.keys import Keys
from claude_max_proxy.server.openapi import openapi_route
from claude_max_proxy.server.routes import health_routes, model_routes


logger = logging.getLogger(__name__)
_Request = litestar.Request[Any, Any, Any]


class _Answering(Response[None]):
    """Lets a route answer with an ASGI application of its own."""

    def __init__(self, application: ASGIApp) -> None:
        super().__init__(None)
        self._application = application

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]  # any ASGI application serves
        return self._application


class _Application(Litestar):
    """Answers HEAD wherever it answers GET: with its headers, and no body."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await super().__call__(scope, receive, send)
            return

        async def send_head(message: Any) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        as_get: Any = {**scope, "method": "GET"}
        await super().__call__(as_get, receive, send_head)


def build_app(runtime: Runtime) -> Litestar:
    """Build the application that serves ``runtime``; who builds it starts and stops what is behind it."""
    dialects = list(runtime.dialects.values())
    config = runtime.config.server
    keys = Keys(config.api_keys, runtime.rates)
    arrival = Arrival(keys, config.max_body_bytes)
    handlers = [
        *(_dialect_route(runtime, dialect, arrival) for dialect in dialects),
        *(route for dialect in dialects for route in counting_routes(runtime, dialect, arrival)),
        *(handler for dialect in dialects for handler in further_routes(dialect, arrival)),
        embeddings_route(runtime, arrival),
        *model_routes(runtime, keys),
        *health_routes(runtime),
    ]
    handlers.append(openapi_route(handlers, runtime.dialects, bool(config.api_keys)))
    render = _renderer(dialects, Routes(path for handler in handlers for path in handler.paths))
    return _Application(
        route_handlers=handlers,
        guards=[Guard(config, keys)],
        cors_config=_cors(config) if config.allowed_origins else None,
        exception_handlers={ProxyError: render, HTTPException: render, Exception: render},
        request_max_body_size=config.max_body_bytes,
        logging_config=None,
        openapi_config=None,
        response_cache_config=ResponseCacheConfig(default_expiration=None),
    )


def _cors(config: ServerConfig) -> CORSConfig:
    return CORSConfig(
        allow_origins=config.allowed_origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],  # an allowed page may send what it likes, as the OpenAI library does
        expose_headers=["retry-after", "x-proxy-ignored", "x-request-id", "x-should-retry"],
        max_age=600,
    )


def _dialect_route(runtime: Runtime, dialect: Dialect, arrival: Arrival) -> Any:
    server = runtime.config.server
    receive = arrival.reader(dialect.read, dialect)
    opt = {
        "summary": f"The dialect {dialect.name}, whole or streamed",
        "body": getattr(dialect, "body", None),
        "streams": True,
        "dialect": dialect.name,
    }

    @post(list(dialect.routes), name=dialect.name, opt=opt)
    async def answer(request: _Request) -> Response[None]:
        asked, _ = await receive(request)
        events = runtime.gateway.answer(asked, dialect.name)
        return _Answering(Answer(asked, dialect, events, keep_alive=server.keep_alive, hold=server.hold))

    return answer


def _renderer(dialects: list[Dialect], routes: Routes) -> Callable[[_Request, Exception], Response[bytes]]:
    dialect_of = by_path(dialects)

    def render(request: _Request, exception: Exception) -> Response[bytes]:
        misplaced = routes.misplaced(request.scope["path"])
        error = _as_proxy_error(request, exception, misplaced)
        dialect = dialect_of(misplaced.route if misplaced else request.scope["path"])
        headers = {name.decode(): value.decode() for name, value in error_headers(error)}
        if allowed := (getattr(exception, "headers", None) or {}).get("allow"):
            headers["allow"] = allowed.replace("GET", "GET, HEAD")
        return Response(
            dialect.error(error),
            status_code=status_of(error, dialect),
            headers=headers,
            media_type="application/json",
        )

    return render


def _as_proxy_error(request: _Request, exception: Exception, misplaced: Misplaced | None) -> ProxyError:
    if isinstance(exception, ProxyError):
        return exception

    path, method = request.scope["path"], request.scope["method"]
    match getattr(exception, "status_code", 500):
        case 404 if misplaced:
            return NotFound(misplaced.told(path[:200]), code="route_not_found")
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
