"""Answers that are sent in one piece after some work: embeddings, and the count of tokens.

The work is cancelled if the client disconnects or its API key is revoked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from litestar.types import Receive, Scope, Send

from claude_max_proxy.errors import InternalError, ProxyError
from claude_max_proxy.request import Request
from claude_max_proxy.server.answers import cancel
from claude_max_proxy.server.request_headers import Headers, added_headers, request_ids
from claude_max_proxy.server.sending import send_body


logger = logging.getLogger(__name__)


class ShortAnswer:
    """Sends what ``work`` returns, a body of JSON, as an ASGI application.

    A :class:`ProxyError` that ends it early is raised, for the application to answer with.
    """

    def __init__(
        self, request: Request, work: Callable[[], Coroutine[Any, Any, tuple[bytes, Headers]]]
    ) -> None:
        """Prepare to do ``work`` for ``request``; it returns the body and further headers."""
        self._request = request
        self._work = work
        self._working: asyncio.Task[tuple[bytes, Headers]] | None = None
        self._cut: ProxyError | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI has it
        """Do the work and send its result; return when that is done or the client has disconnected."""
        loop = asyncio.get_running_loop()
        self._working = working = loop.create_task(self._work(), name="short-answer")
        leaving = loop.create_task(_left(receive), name="client-leaves")
        try:
            if self._cut is None:
                await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if self._cut is not None:
                raise self._cut
            if working.done():
                body, headers = _result_of(working)
                headers = [*request_ids(), *added_headers(self._request), *headers]
                await send_body(200, [(b"content-type", b"application/json"), *headers], body, send)
            elif (error := leaving.exception()) is not None:
                raise error
        finally:
            await cancel(working, leaving)

    def end(self, error: ProxyError) -> None:
        """End the work, unless it is done, and answer with this failure."""
        if self._working is None or not self._working.done():
            self._cut = error
            if self._working is not None:
                self._working.cancel()


def _result_of(working: asyncio.Task[tuple[bytes, Headers]]) -> tuple[bytes, Headers]:
    if working.cancelled():  # by somebody who cancels what is not theirs
        logger.error("the task %r was cancelled by none of us", working.get_name())
        raise InternalError("the proxy failed; its log has the details")
    return working.result()


async def _left(receive: Receive) -> None:
    """Return when the client has left; raise a :class:`ProxyError` when the server has to end."""
    while (await receive())["type"] != "http.disconnect":
        pass
