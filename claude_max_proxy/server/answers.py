"""Sends one answer from the gateway to a client: holds it until its status is known, and keeps it alive.

The headers wait for the first event, so that an early failure becomes an HTTP status. Everything that is
ready is sent at once: if a client reads slowly or a model writes fast, there are fewer and larger writes. If
the client leaves, everything that works on its answer is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from litestar.types import Receive, Scope, Send

from claude_max_proxy.capabilities.honoured import header_of
from claude_max_proxy.concurrency.deadline import Deadline
from claude_max_proxy.dialect import AlternativesWriter, Dialect, Exchange
from claude_max_proxy.errors import InternalError, ProxyError
from claude_max_proxy.events import Alternative, AlternativesFolding, Event, Failed, Finished
from claude_max_proxy.server.request_headers import Headers, added_headers, request_ids
from claude_max_proxy.server.sending import send_body, send_error


logger = logging.getLogger(__name__)

_BUFFER_LIMIT = 1024 * 1024
_CLOSE_TIMEOUT = 5.0
_LAST_WORDS = 2.0
_SETTLE_TIMEOUT = 10.0
_ENDS = (Failed, Finished)


class SentAnswer:
    """Sends the answer to one request, streamed or whole, as an ASGI application."""

    def __init__(
        self,
        exchange: Exchange,
        dialect: Dialect,
        events: AsyncGenerator[Event | Alternative, None],
        *,
        keep_alive: float,
        hold: float,
    ) -> None:
        """Prepare to send ``events`` as the answer of ``exchange``, and failures in the form of ``dialect``.

        While no events come, a keep-alive is sent every ``keep_alive`` seconds. The headers are held back for
        at most ``hold`` seconds, since clients give up if they do not come.
        """
        self._request = exchange.request
        self._dialect = dialect
        # Every writer writes what comes here: Alternatives come only to a writer of several answers.
        self._writer = cast("AlternativesWriter", exchange.writer)
        self._exchange = exchange
        self._events = events
        self._silence = Deadline(keep_alive)
        self._hold = hold
        self._buffer = bytearray()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._state: Any = {}
        self._begun = False
        self._complete = False
        self._ended = False
        self._over = False
        self._broken: BaseException | None = None
        self._silent = True
        self._failure: ProxyError | None = None
        self._cut: ProxyError | None = None
        self._working: asyncio.Task[None] | None = None
        self._folding = AlternativesFolding(exchange.request.answers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; return when it is complete or the client has left."""
        self._state = scope["state"]
        work = self._stream(send) if self._request.stream else self._whole(send)
        answer = asyncio.get_running_loop().create_task(work, name="answer")
        if not self._request.stream:
            self._working = answer
            if self._cut is not None:
                answer.cancel()
        leaving = asyncio.get_running_loop().create_task(self._left(receive), name="client-leaves")
        try:
            await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answer.cancelled() and self._cut is not None:
                await self._send_error(self._cut, send)
            elif answer.done():
                await answer
            elif isinstance(error := leaving.exception(), ProxyError):
                await self._break_off(error, answer, send)
        finally:
            self._over = True
            await cancel(answer, leaving)

    def end(self, error: ProxyError) -> None:
        """End an answer that is not complete with a failure.

        The failure becomes its status or, if the stream has begun, an event after what was sent.
        """
        self._cut = error
        if self._working is not None and not self._ended:
            self._working.cancel(error)
            if self._request.stream:
                self._fail(error)  # the client need not wait until what works on the answer has ended

    async def _break_off(self, error: ProxyError, answer: asyncio.Task[None], send: Send) -> None:
        """Tell the client that the answer fails, and end it properly, within a short time."""
        if self._request.stream or self._ended:
            self.end(error)
            await asyncio.wait({answer}, timeout=_LAST_WORDS)
        else:
            self._over = True
            answer.cancel(error)
            await self._send_error(error, send)

    def _fail(self, error: ProxyError) -> None:
        """End a stream with a failure, unless all of it has been written."""
        if not self._complete:
            self._failure = error if self._silent else None
            self._write_last(Failed(error))
        self._ended = True
        self._wake.set()

    # --- whole

    async def _whole(self, send: Send) -> None:
        try:
            async with aclosing(self._events):
                async for event in self._events:
                    self._folding.add(event)
            self._ended = True
            reply = self._folding.reply
            body = b"" if reply.error is not None else self._writer.whole(reply)
            if reply.error is None:
                await self._settle()
        except BaseException as error:
            if self._over or isinstance(error, Exception):
                raise
            await self._send_error(self._failed(error), send)
            return

        if reply.error is not None:
            await self._send_error(reply.error, send)
        else:
            headers = [*self._headers(), (b"content-type", b"application/json")]
            await send_body(200, headers, body, send)

    # --- streamed

    async def _stream(self, send: Send) -> None:
        if self._cut is not None:
            await self._send_error(self._cut, send)
            return

        self._working = pump = asyncio.get_running_loop().create_task(self._pump(), name="pump")
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._hold):
                    await self._wake.wait()
            if self._failure is not None:
                await self._send_error(self._failure, send)
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
            self._over = True
            self._silence.close()
            await cancel(pump)

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
        if self._broken is not None:  # breaking the connection shows that the answer is not complete
            raise RuntimeError("the dialect cannot write a failure") from self._broken
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self) -> None:
        """Write events into the buffer as fast as they come, as long as there is room.

        If several events are ready, this does not give control back to the event loop in between, so they are
        sent in one write.
        """
        try:
            async with aclosing(self._events):
                async for event in self._events:
                    if self._silent and isinstance(event, Failed):
                        self._failure = event.error
                    written = self._writer.write(event)
                    if isinstance(event, Finished):
                        await self._settle()
                    self._buffer += written
                    self._complete = isinstance(event, _ENDS)
                    if self._buffer:
                        self._silent = False
                        self._wake.set()
                    while len(self._buffer) > _BUFFER_LIMIT:
                        self._room.clear()
                        await self._room.wait()
        except BaseException as raised:  # after a bug, the answer must not look complete
            if (self._over or self._cut is not None) and isinstance(raised, asyncio.CancelledError):
                raise
            self._fail(self._failed(raised))
        finally:
            self._ended = True
            self._wake.set()

    async def _settle(self) -> None:
        """Let the dialect keep what it has to; if that fails, the answer is complete all the same."""
        try:
            settled = self._exchange.settle()
            if settled is not None:
                await asyncio.wait_for(settled, _SETTLE_TIMEOUT)
        except Exception:
            logger.exception("an answer for %r could not be kept", self._request.model)

    def _write_last(self, failed: Failed) -> None:
        try:
            self._buffer += self._writer.write(failed)
        except BaseException as error:
            self._broken = error

    def _failed(self, error: BaseException) -> ProxyError:
        """Log an exception that the gateway should not have raised; return the error for the client.

        A cancellation that neither we nor :meth:`end` have asked for is also such a bug: somebody has
        cancelled a task that is not theirs.
        """
        if self._cut is not None and isinstance(error, asyncio.CancelledError):
            return self._cut

        logger.error("an answer for %r failed", self._request.model, exc_info=error)
        return InternalError("the proxy failed; its log has the details")

    async def _left(self, receive: Receive) -> None:
        """Return when the client has left; raise a :class:`ProxyError` if the server ends the answer.

        Any other message means that the connection needs to find out whether the client is still there; in a
        stream, it does so by a keep-alive.
        """
        message: Any = await receive()
        while message["type"] != "http.disconnect":
            if self._begun:
                self._wake.set()
            message = await receive()

    def _headers(self) -> Headers:
        headers = [*request_ids(), *added_headers(self._request)]
        if self._request.ignored:
            headers.append((b"x-proxy-ignored", header_of(self._request.ignored).encode()))
        return headers

    async def _send_error(self, error: ProxyError, send: Send) -> None:
        self._state["failure"] = error  # whoever keeps the record needs to know
        await send_error(error, self._dialect, send, added_headers(self._request))


async def cancel(*tasks: asyncio.Task[Any], why: tuple[Any, ...] = ()) -> None:
    """Cancel tasks, with the reason ``why`` if there is one, and wait for their end within a time limit."""
    for task in tasks:
        task.cancel(*why)
    _, pending = await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT)
    for task in pending:
        logger.error("the task %r ignores its cancellation, and is left behind: %r", task.get_name(), task)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # otherwise asyncio would log that nobody has read it
