"""One question and its answer over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import cast

import aiohttp
import httpx

from claude_max_proxy.http_upstream.failures import ConnectionBroken


_CLOSE_TIMEOUT = 2.0


class Exchange:
    """An answer whose head is there."""

    def __init__(self, response: httpx.Response, broken: tuple[type[Exception], ...]) -> None:
        """Begin after the head; ``broken`` are the errors that say that the connection is."""
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._pieces = cast("AsyncGenerator[bytes, None]", aiter(response.stream))
        self._broken = broken

    async def read(self) -> bytes:
        """Return more of the body, waiting for some; nothing at its end.

        Raises :class:`ConnectionBroken` when it will never be whole.
        """
        try:
            async for piece in self._pieces:
                if piece:
                    return piece
        except self._broken as error:
            raise ConnectionBroken(reason(error)) from error
        return b""

    async def beginning(self, size: int) -> bytes:
        """Return the body up to about so many bytes: as much of an error as anybody could want."""
        content = b""
        while len(content) < size and (piece := await self.read()):
            content += piece
        return content

    async def close(self) -> None:
        """Be done with it, whatever befell it, within a bound.

        Without its end, the connection goes at once, and with it the upstream's work.
        """
        with contextlib.suppress(*self._broken, TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._stream.aclose()
                await self._pieces.aclose()


def reason(error: BaseException) -> str:
    """Say what went wrong: what the system or TLS said of it, where that is known."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"what it answers is not HTTP: {error.message.partition(':')[0]}"

    words = str(error) or type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno and cause.strerror:
            own = isinstance(cause, ssl.SSLError | socket.gaierror)  # which number their errors themselves
            words = cause.strerror if own else os.strerror(cause.errno)
        cause = cause.__cause__
    return words
