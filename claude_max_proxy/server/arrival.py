"""Receives requests: the same steps in the same order, on every route and for every dialect.

Before that, the guard has checked the headers. Here, the body is read, unpacked and decoded by the dialect.
Then what the headers ask for and who the client is are added, the limits of the client's API key are checked,
and the dialect adds what it remembers. From then on the request is the gateway's, and is found in
``scope["state"]["asks"]``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import litestar
from litestar.exceptions import InternalServerException

from claude_max_proxy import request_id
from claude_max_proxy.capabilities.honoured import Known, carry_unknown
from claude_max_proxy.concurrency.aside import LARGE_BODY, aside
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.formats.nesting import deep_place, too_deep
from claude_max_proxy.request import Request
from claude_max_proxy.route import Call
from claude_max_proxy.server.clients import client_of
from claude_max_proxy.server.encodings import codings, unpack
from claude_max_proxy.server.keys import Keys
from claude_max_proxy.server.request_headers import traceparent


Incoming = litestar.Request[Any, Any, Any]
_Read = TypeVar("_Read")
LONGEST_PATH = 200
_CONFIDENTIAL = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})


class Arrival:
    """Receives requests."""

    def __init__(self, keys: Keys, limit: int, known: Known) -> None:
        """Receive requests with these API keys; an unpacked body may have ``limit`` bytes.

        ``known`` are the capabilities that there are.
        """
        self._keys = keys
        self._limit = limit
        self._known = known

    async def exchange(self, incoming: Incoming, dialect: Dialect) -> Exchange:
        """Receive a request that ``dialect`` answers; raise a :class:`ProxyError` for whatever is wrong."""

        def opened(body: bytes) -> Exchange:
            exchange = dialect.open(body)
            carry_unknown(exchange.request, body, self._known)
            return exchange

        exchange = await _understood(opened, await self.body(incoming))
        dialect.read_headers(exchange.request, incoming.headers)
        await self._admit(incoming, exchange.request)
        resumed = exchange.resume()
        if resumed is not None:
            await resumed
        incoming.scope["state"]["asks"] = exchange.request
        return exchange

    async def count(self, incoming: Incoming, dialect: Dialect) -> Request:
        """Receive a request whose tokens ``dialect`` counts."""

        def read(body: bytes) -> Request:
            request = dialect.read_count(body)
            carry_unknown(request, body, self._known)
            return request

        request = await _understood(read, await self.body(incoming))
        dialect.read_headers(request, incoming.headers)
        await self._admit(incoming, request)
        incoming.scope["state"]["asks"] = request
        return request

    async def request(self, incoming: Incoming, read: Callable[[bytes], Request]) -> tuple[Request, bytes]:
        """Receive a request on a route without a dialect; return what ``read`` makes of it, and its body."""
        body = await self.body(incoming)
        request = await _understood(read, body)
        await self._admit(incoming, request)
        incoming.scope["state"]["asks"] = request
        return request, body

    async def call(self, incoming: Incoming) -> Call:
        """Receive a call of a route that asks no model, and so does not count for the key's limit."""
        return Call(
            {name: str(value) for name, value in incoming.path_params.items()},
            dict(incoming.query_params.items()),
            client_of(incoming),
            await self.body(incoming),
            {name: value for name, value in incoming.headers.items() if name not in _CONFIDENTIAL},
            incoming.scope["raw_path"].decode("latin-1"),
        )

    async def _admit(self, incoming: Incoming, request: Request) -> None:
        """Add the client to the request, and check the limits of its key, for which each answer counts."""
        state: Any = incoming.scope["state"]
        state["model"] = request.model
        request.id, request.path = request_id.current(), incoming.scope["path"][:LONGEST_PATH]
        request.arrived = state.get("arrived", 0.0)
        request.traceparent = traceparent(incoming.headers.get("traceparent", ""))
        request.client = client_of(incoming, request.client)
        for _ in range(request.answers):
            await self._keys.admit(request.client.key, request.model)

    async def body(self, incoming: Incoming) -> bytes:
        """Return the body of a request, unpacked. Raises a :class:`ProxyError` if that is not possible."""
        applied = codings(", ".join(incoming.headers.getall("content-encoding", [])))
        try:
            body = await incoming.body()
        except InternalServerException as error:  # Litestar raises this when the client has left
            raise InvalidRequest("the client left before its request was complete") from error
        if not (applied and body):
            return body
        return await asyncio.to_thread(unpack, body, applied, self._limit)


async def _understood(read: Callable[[bytes], _Read], body: bytes) -> _Read:
    """Decode a body; if something in it is nested too deeply to be walked, refuse it with the path."""
    try:
        return await aside(partial(read, body), large=len(body) > LARGE_BODY)
    except RecursionError as error:
        raise too_deep(deep_place(body)) from error
