"""Sends what a route without a model answers: whole, or piece by piece for as long as somebody is there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from litestar.types import Receive, Scope, Send

from claude_max_proxy.concurrency.endings import is_asked_for
from claude_max_proxy.errors import ProxyError
from claude_max_proxy.route import Response
from claude_max_proxy.server.answers import cancel
from claude_max_proxy.server.request_headers import Headers, request_ids
from claude_max_proxy.server.sending import send_body


class Streamed:
    """Sends a :class:`Response` whose body is an async iterator, as an ASGI application.

    Nobody waits for its end: it ends when the client leaves, when its key is revoked, at a reload, and when
    the proxy stops.
    """

    def __init__(self, response: Response, blame: Callable[[BaseException], None]) -> None:
        """Prepare to send ``response``; ``blame`` is called with what its body raises."""
        self._blame = blame
        assert isinstance(response.body, AsyncIterator)
        self._response = response
        self._pieces = response.body
        self._sending: asyncio.Task[None] | None = None
        self._over = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces; return when there are no more, or nobody wants them."""
        loop = asyncio.get_running_loop()
        headless = bool(scope["state"].get("head"))
        self._sending = sending = loop.create_task(self._send(send, headless=headless), name="stream")
        if self._over:
            sending.cancel()
        leaving = loop.create_task(_left(receive), name="client-leaves")
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel(sending, leaving)
            if isinstance(self._pieces, AsyncGenerator):
                with contextlib.suppress(Exception):
                    await self._pieces.aclose()
        if not sending.cancelled():
            sending.result()

    def end(self, error: ProxyError) -> None:  # noqa: ARG002  # a stream of this kind has no place for an error
        """End the stream after the piece that is being sent."""
        self._over = True
        if self._sending is not None:
            self._sending.cancel()

    async def _send(self, send: Send, *, headless: bool) -> None:
        response = self._response
        headers = _headers(response)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        try:
            if not headless:
                async for piece in self._pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except asyncio.CancelledError:
            if self._over:  # a proper end tells the client that it may ask again
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            raise
        except BaseException as error:
            if is_asked_for(error):
                raise
            self._blame(error)
            raise RuntimeError("the stream is not complete") from error  # this breaks the connection
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def send_whole(response: Response, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  # as ASGI has it
    """Send a :class:`Response` whose body is bytes."""
    assert isinstance(response.body, bytes)
    await send_body(response.status, _headers(response), response.body, send)


def _headers(response: Response) -> Headers:
    return [
        *request_ids(),
        (b"content-type", response.media_type.encode("latin-1")),
        *(
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in response.headers.items()
        ),
    ]


async def _left(receive: Receive) -> None:
    """Return when the client has left, or the server has to end."""
    with contextlib.suppress(ProxyError):
        while (await receive())["type"] != "http.disconnect":
            pass
