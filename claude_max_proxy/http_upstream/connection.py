"""One connection of HTTP/1.1, over which one exchange goes at a time.

Written on asyncio's own protocols and the parser that the server uses: through httpx, a request costs the
proxy four times the CPU. docs/architecture.md has what was measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast

import httptools

from claude_max_proxy.http_upstream.exchange import ConnectionBroken


_HIGH_WATER = 1024 * 1024
_HEAD_LIMIT = 256 * 1024


class Connection(asyncio.Protocol):
    """A connection, idle or with one exchange on it."""

    def __init__(self, done: Callable[[Connection], None]) -> None:
        """Begin; ``done`` is told once when it ends or is free again."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.idle_since = 0.0
        self.lost = False
        self._done = done
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._size = self._head_size = 0
        self._head = self._complete = self._paused = False
        self._reusable = True
        self._reason = ""
        self._waiter: asyncio.Future[None] | None = None

    # --- what its owner does

    async def ask(self, message: bytes) -> None:
        """Send a whole request; return when the head of its answer is there."""
        assert self._transport is not None
        self.status, self.headers = 0, {}
        self._head = self._complete = False
        self._head_size = 0
        self._transport.write(message)
        while not self._head:
            self._check()
            await self._wait()

    async def read(self) -> bytes:
        """Give all of the body that is there, waiting for some; nothing at its end."""
        while not self._chunks:
            if self._complete:
                return b""
            self._check()
            await self._wait()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._paused and self._transport is not None and not self.lost:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def close(self) -> None:
        """Free it for another exchange if this one came to its end, else hang up."""
        reusable = self._complete and self._reusable and not (self.lost or self._chunks)
        if reusable:
            self.idle_since = time.monotonic()
        else:
            self.abort()
        self._done(self)

    def abort(self) -> None:
        """Hang up at once."""
        self.lost = True
        if self._transport is not None:
            self._transport.abort()

    @property
    def untouched(self) -> bool:
        """Whether nothing at all has come in answer to the request."""
        return not (self._head or self.headers or self._head_size)

    def _check(self) -> None:
        if self.lost:
            raise ConnectionBroken(self._reason or "the connection was closed")

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, which need not be derived from asyncio's: uvloop's is not."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes; whatever is not an answer that was asked for ends the connection."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._reason = f"what it answers is not HTTP: {error}"
            self.abort()
        if self._size > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """The end: also that of a body that is as long as the connection lives."""
        unframed = "content-length" not in self.headers and "transfer-encoding" not in self.headers
        if self._head and not self._complete and error is None and unframed:
            self._complete = True
        if error is not None and not self._reason:
            self._reason = str(error) or type(error).__name__
        self.lost = True
        self._wake()

    # --- what the parser finds

    def on_message_begin(self) -> None:
        """An answer begins, of which there is one for each request."""
        if self._complete:
            raise ValueError("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._head_size += len(name) + len(value)
        if self._head_size > _HEAD_LIMIT:
            raise ValueError("the head of the answer is too large")
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Take the status; an interim answer only announces another."""
        status = self._parser.get_status_code()
        if status < 200:
            self.headers = {}
            return

        self.status, self._head = status, True

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._chunks.append(body)
        self._size += len(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._head:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()
