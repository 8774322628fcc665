"""One answer on its way to a client: pumped from the gateway, held until its status is known, kept alive.

The head waits for the first event, so that an early failure is an HTTP status. What is ready is sent
together: a client that reads slowly, or a model that writes fast, costs fewer and larger writes. A client
that leaves cancels everything behind its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from contextlib import aclosing
from typing import Any

from litestar.types import Receive, Scope, Send

from claude_max_proxy.deadline import Deadline
from claude_max_proxy.dialect import Dialect, status_of
from claude_max_proxy.errors import InternalError, ProxyError
from claude_max_proxy.events import Events, Failed, Folding
from claude_max_proxy.extras import header_of
from claude_max_proxy.request import Request


logger = logging.getLogger(__name__)

_BUFFER_LIMIT = 1024 * 1024
_CLOSE_TIMEOUT = 5.0
Headers = list[tuple[bytes, bytes]]


class Answer:
    """Answers one request, streamed or whole, as an ASGI application."""

    def __init__(
        self, request: Request, dialect: Dialect, events: Events, *, keep_alive: float, hold: float
    ) -> None:
        """Send ``events`` in ``dialect``.

        While nothing comes, a keep-alive goes out every ``keep_alive`` seconds; the head is held for at
        most ``hold`` seconds, since clients give up on one that never comes.
        """
        self._request = request
        self._dialect = dialect
        self._writer = dialect.writer(request)
        self._events = events
        self._silence = Deadline(keep_alive)
        self._hold = hold
        self._buffer = bytearray()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._begun = False
        self._ended = False
        self._failure: ProxyError | None = None
        self._folding = Folding()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; return when it is complete or the client has left."""
        work = self._stream(send) if self._request.stream else self._whole(send)
        answer = asyncio.get_running_loop().create_task(work, name="answer")
        leaving = asyncio.get_running_loop().create_task(self._left(receive), name="client-leaves")
        try:
            await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                await answer
        finally:
            await _cancel(answer, leaving)

    # --- whole

    async def _whole(self, send: Send) -> None:
        async with aclosing(self._events):
            async for event in self._events:
                self._folding.add(event)
        reply = self._folding.reply
        if reply.error is not None:
            await send_error(reply.error, self._dialect, send)
        else:
            headers = [*self._headers(), (b"content-type", b"application/json")]
            await _send_body(200, headers, self._writer.whole(reply), send)

    # --- streamed

    async def _stream(self, send: Send) -> None:
        pump = asyncio.get_running_loop().create_task(self._pump(), name="pump")
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._hold):
                    await self._wake.wait()
            if self._failure is not None:
                await send_error(self._failure, self._dialect, send)
                return

            headers = [
                *self._headers(),
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            self._begun = True
            await self._send_stream(send)
        finally:
            self._silence.close()
            await _cancel(pump)

    async def _send_stream(self, send: Send) -> None:
        while not (self._ended and not self._buffer):
            chunk = bytes(self._buffer) or self._writer.keep_alive()
            self._buffer.clear()
            self._room.set()
            self._wake.clear()
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if not self._buffer and not self._ended:
                with contextlib.suppress(TimeoutError), self._silence:
                    await self._wake.wait()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self) -> None:
        """Write events into the buffer, as fast as they come and as far as there is room.

        A run of events that are ready costs no turn of the event loop, so they leave in one write.
        """
        silent = True
        try:
            async with aclosing(self._events):
                async for event in self._events:
                    if silent and isinstance(event, Failed):
                        self._failure = event.error
                    self._buffer += self._writer.write(event)
                    if self._buffer:
                        silent = False
                        self._wake.set()
                    while len(self._buffer) > _BUFFER_LIMIT:
                        self._room.clear()
                        await self._room.wait()
        except Exception:  # the boundary: a bug must not pass for a complete answer
            logger.exception("an answer for %r failed", self._request.model)
            error = InternalError("the proxy failed; its log has the details")
            self._failure = error if silent else None
            self._buffer += self._writer.write(Failed(error))
        finally:
            self._ended = True
            self._wake.set()

    async def _left(self, receive: Receive) -> None:
        """Return when the client has left.

        Any other message means that the connection has to find out: in a stream, by a keep-alive.
        """
        message: Any = await receive()
        while message["type"] != "http.disconnect":
            if self._begun:
                self._wake.set()
            message = await receive()

    def _headers(self) -> Headers:
        headers = _request_ids()
        if self._request.ignored:
            headers.append((b"x-proxy-ignored", header_of(self._request.ignored).encode()))
        return headers


async def send_error(error: ProxyError, dialect: Dialect, send: Send) -> None:
    """Send a failure as a status and the dialect's envelope."""
    headers = [(b"content-type", b"application/json"), *error_headers(error)]
    await _send_body(status_of(error, dialect), headers, dialect.error(error), send)


def error_headers(error: ProxyError) -> Headers:
    """The headers that a failure brings along."""
    headers = _request_ids()
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if not error.passes:
        # The official SDKs obey this; without it, some of them ask again within seconds whatever was said.
        headers.append((b"x-should-retry", b"false"))
    return headers


async def _send_body(status: int, headers: Headers, body: bytes, send: Send) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait for what they do last, within a bound."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # heard, so that the loop does not complain


def _request_ids() -> Headers:
    """Name the request, as OpenAI's clients look for it and as Anthropic's do."""
    name = secrets.token_hex(8).encode()
    return [(b"x-request-id", name), (b"request-id", name)]
