"""The answer to one request over HTTP, read piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import cast

import httpx

from claude_max_proxy.http_upstream.breakage import reason
from claude_max_proxy.http_upstream.failures import ConnectionBroken


_CLOSE_TIMEOUT = 2.0


class UpstreamResponse:
    """An answer whose head has arrived; its body is still to be read."""

    def __init__(self, response: httpx.Response, broken: tuple[type[Exception], ...]) -> None:
        """Take a response; ``broken`` are the exceptions that say that the connection is broken."""
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._pieces = cast("AsyncGenerator[bytes, None]", aiter(response.stream))
        self._broken = broken

    async def read(self) -> bytes:
        """Wait for the next piece of the body and return it; return no bytes at the end.

        Raises :class:`ConnectionBroken` if the body breaks off.
        """
        try:
            async for piece in self._pieces:
                if piece:
                    return piece
        except self._broken as error:
            raise ConnectionBroken(reason(error)) from error
        return b""

    async def beginning(self, size: int) -> bytes:
        """Return the beginning of the body, about ``size`` bytes: enough of an error for anybody."""
        content = b""
        while len(content) < size and (piece := await self.read()):
            content += piece
        return content

    async def close(self) -> None:
        """End the response within a time limit, whatever happened to it.

        If the body was not read to its end, the connection is closed at once, so that the upstream stops
        working on the answer.
        """
        with contextlib.suppress(*self._broken, TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._stream.aclose()
                await self._pieces.aclose()
