"""``GET /openapi.json``: a description of all routes in OpenAPI 3.1, made from the routes and their structs.

A route describes itself in its ``opt``: ``summary``, ``body`` and ``answer`` (types for which msgspec can
make schemas), ``streams`` (whether the answer may be a stream), ``dialect``, ``access`` ("open" if it needs
no key) and ``unavailable`` (whether it may also answer with 503). A route without these is described with a
body and an answer of any kind.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler, get

from claude_max_proxy import __version__
from claude_max_proxy.dialect import Dialect
from claude_max_proxy.errors import ClientError, InternalError, ProxyError


Node = dict[str, Any]
_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
_SECURITY: list[Node] = [{"key": []}, {"bearer": []}]
_HEADERS: Node = {
    "x-request-id": {"description": "Names the request.", "schema": {"type": "string"}},
    "x-proxy-replica": {"description": "Names the proxy that answered.", "schema": {"type": "string"}},
    "x-proxy-ignored": {"description": "Parameters without effect.", "schema": {"type": "string"}},
}


def openapi_route(handlers: Sequence[HTTPRouteHandler], dialects: Mapping[str, Dialect], keys: bool) -> Any:
    """Return the route that describes ``handlers``; ``keys`` says whether the proxy wants API keys."""
    dialect = next(iter(dialects.values()))

    @cache
    def written() -> bytes:
        return msgspec.json.encode(document([*handlers, openapi], dialects, keys=keys))

    @get("/openapi.json", name="openapi", opt={"summary": "This description", "dialect": dialect.name})
    async def openapi() -> Response[bytes]:
        return Response(written(), media_type="application/json")

    return openapi


def document(handlers: Sequence[HTTPRouteHandler], dialects: Mapping[str, Dialect], *, keys: bool) -> Node:
    """Return the whole document."""
    types = [
        handler.opt[what] for handler in handlers for what in ("body", "answer") if handler.opt.get(what)
    ]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    for component in components.values():
        component.pop("additionalProperties", None)  # unknown fields are ignored, and named in a header
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, Node] = defaultdict(dict)
    default = next(iter(dialects))
    for handler in handlers:
        dialect = dialects[handler.opt.get("dialect", default)]
        for path in sorted(handler.paths):
            for method in sorted(handler.http_methods):
                operation = _operation(handler, path, method, by_type, dialect)
                if keys and handler.opt.get("access") != "open":
                    operation["security"] = _SECURITY
                paths[_PARAMETER.sub(r"{\1}", path)][method.lower()] = operation
    described: Node = {"schemas": components}
    if keys:
        described["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "claude-max-proxy", "version": __version__},
        "paths": dict(sorted(paths.items())),
        "components": described,
    }


def _operation(
    handler: HTTPRouteHandler, path: str, method: str, schemas: Mapping[Any, Node], dialect: Dialect
) -> Node:
    opt = handler.opt
    operation: Node = {"operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_")}
    if opt.get("summary"):
        operation["summary"] = opt["summary"]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(path)
    ]
    if parameters:
        operation["parameters"] = parameters
    if method == "POST":
        schema = schemas.get(opt.get("body"), {"type": "object"})
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    content: Node = {"application/json": {"schema": schemas.get(opt.get("answer"), {"type": "object"})}}
    if opt.get("streams"):
        content[
            "text/event-stream"
        ] = {}  # tools disagree whether a schema is that of all of it or of an event
    answer = {"description": "The answer.", "content": content}
    if method == "POST":
        answer["headers"] = _HEADERS
    operation["responses"] = {"200": answer, **_failures(method, dialect)}
    if opt.get("unavailable"):
        operation["responses"]["503"] = {**answer, "description": "The same, when something is wrong."}
    return operation


def _failures(method: str, dialect: Dialect) -> Node:
    """Describe the failures of a route by their statuses, with an example in the form of the dialect."""
    by_status: dict[int, list[type[ProxyError]]] = defaultdict(list)
    for error in sorted(_leaves(ProxyError), key=lambda error: error.__name__):
        if method == "POST" or issubclass(error, ClientError | InternalError):
            by_status[dialect.status(error(""))].append(error)
    return {
        str(status): {
            "description": " ".join((error.__doc__ or "").partition("\n")[0] for error in errors),
            "content": {"application/json": _example(errors[0], dialect)},
        }
        for status, errors in sorted(by_status.items())
    }


def _example(error: type[ProxyError], dialect: Dialect) -> Node:
    return {
        "schema": {"type": "object"},
        "example": msgspec.json.decode(dialect.error(error("what went wrong"))),
    }


def _leaves(error: type[ProxyError]) -> Iterator[type[ProxyError]]:
    below: Iterable[type[ProxyError]] = error.__subclasses__()
    if not below:
        yield error
    for child in below:
        yield from _leaves(child)
