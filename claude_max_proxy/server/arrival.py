"""How a request comes in: the same steps in the same order, on every route and for every dialect.

The guard has looked at the headers before; here the body is read, unpacked and understood, who asks and what
the headers ask is added, the key's bounds are kept, and what the dialect remembers comes in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import litestar
from litestar.exceptions import InternalServerException

from claude_max_proxy.dialect import Call, Dialect, HeaderReader, Remembering
from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Request
from claude_max_proxy.server.clients import client_of
from claude_max_proxy.server.encodings import codings, unpack
from claude_max_proxy.server.keys import Keys


Incoming = litestar.Request[Any, Any, Any]


class Arrival:
    """Receives requests; ``limit`` bounds a body in bytes, as it comes and once it is unpacked."""

    def __init__(self, keys: Keys, limit: int) -> None:
        """Receive for the holders of ``keys``."""
        self._keys = keys
        self._limit = limit

    def reader(
        self, read: Callable[[bytes], Request], dialect: Dialect | None = None
    ) -> Callable[[Incoming], Any]:
        """Return what receives on a route: a coroutine function that gives the request and its body.

        ``read`` understands a body. ``dialect`` is whose route it is, if it is one's. Whatever is wrong is
        raised as a :class:`ProxyError`.
        """
        headers = dialect if isinstance(dialect, HeaderReader) else None
        memory = dialect if isinstance(dialect, Remembering) else None

        async def receive(incoming: Incoming) -> tuple[Request, bytes]:
            body = await self.body(incoming)
            asked = read(body)
            if headers is not None:
                headers.read_headers(asked, incoming.headers)
            asked.client = client_of(incoming, asked.client)
            self._keys.admit(asked.client.key, asked.model)
            if memory is not None:
                memory.resume(asked)
            return asked, body

        return receive

    async def call(self, incoming: Incoming) -> Call:
        """Receive on a route that asks no model, and so is not counted."""
        return Call(
            {name: str(value) for name, value in incoming.path_params.items()},
            dict(incoming.query_params.items()),
            client_of(incoming),
            await self.body(incoming),
        )

    async def body(self, incoming: Incoming) -> bytes:
        """Read a body, and unpack it."""
        applied = codings(", ".join(incoming.headers.getall("content-encoding", [])))
        try:
            body = await incoming.body()
        except InternalServerException as error:  # which is Litestar's word for a client that has gone
            raise InvalidRequest("the client left before its request was complete") from error
        if not (applied and body):
            return body
        return await asyncio.to_thread(unpack, body, applied, self._limit)
