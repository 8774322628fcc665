"""Routes that a plugin or a dialect answers itself, without a model: pages, metrics, stored responses.

The server does the I/O: a handler gets a :class:`Call` and returns the body, or a :class:`Response`. Every
route is behind the same door: Host, Origin, size and key are checked before the handler is called.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Literal

import msgspec

from claude_max_proxy.request import Client


__all__ = [
    "Access",
    "Answered",
    "Call",
    "Response",
    "Route",
]

Access = Literal["key", "admin", "open"]


class Call(msgspec.Struct, frozen=True):
    """One request on a route: the parameters of the path and of the query, the body, and who asks.

    The names of ``headers`` are in lower case; those that carry a key or a cookie are left out. ``path`` is
    the path as the client wrote it, without the query.
    """

    parameters: dict[str, str]
    query: dict[str, str]
    client: Client
    body: bytes = b""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    path: str = ""


class Response(msgspec.Struct, frozen=True):
    """What a route answers.

    If ``body`` is an async iterator, its pieces are sent as they come. The iterator is closed when the client
    leaves, when another configuration comes into force, and when the proxy stops, which does not wait for it.
    """

    body: bytes | AsyncIterator[bytes] = b""
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


Answered = bytes | Response


class Route(msgspec.Struct, frozen=True):
    """A route without a model.

    ``path`` may contain parameters of one segment each: ``/v1/things/{id}``. ``answer`` returns the body of a
    200, which is JSON, or a :class:`Response`; or it raises a :class:`ProxyError`, which is sent in the
    envelope of an API. It must not block. ``summary`` describes the route.

    ``access`` says who may call the route. "key" is what holds for all routes of an API: everybody, or with
    ``[server] api_keys`` who has a key. "admin" is for what shows other clients' requests: with ``api_keys``,
    only a key with ``admin = true`` will do, which a browser asks for by itself. "open" is everybody.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    answer: Callable[[Call], Answered | Awaitable[Answered]]
    summary: str = ""
    access: Access = "key"
