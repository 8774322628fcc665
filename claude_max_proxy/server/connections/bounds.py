"""Limits what a client's connection may cost before we know who the client is, and while it does nothing.

A request that exceeds a limit, or that is not HTTP, gets an error when its turn comes, in the envelope of the
API that it is meant for. Then the connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from claude_max_proxy.config import ServerConfig
from claude_max_proxy.errors import InvalidRequest, ProxyError, RequestTimeout
from claude_max_proxy.server.connections.descriptors import Idle
from claude_max_proxy.server.connections.measure import Measure
from claude_max_proxy.server.connections.patience import LEAST_RATE, Patience, Waiting
from claude_max_proxy.server.connections.request_cycle import OldRequestCycle, RequestCycle


_LINGER = 2.0  # seconds in which a client that was refused, but is still sending, can read the error
_MOST_LINGERING = 16 * 1024 * 1024  # bytes that we read from it in this time
_DEFAULTS = ServerConfig()


class Bounded(HttpToolsProtocol):
    """A connection with limits. A subclass decides how bytes are parsed and how the connection ends."""

    _running: RequestCycle | None = None
    _refused = False
    _received = 0
    _discarded = 0

    def __init__(
        self,
        *given: Any,
        settings: Callable[[], ServerConfig] = lambda: _DEFAULTS,
        idle: Idle | None = None,
        **named: Any,
    ) -> None:
        """Take uvicorn's arguments, and two of ours.

        ``settings`` returns ``[server]`` as it is now. ``idle`` contains the connection while no request is
        under way on it.
        """
        super().__init__(*given, **named)
        self._settings = settings
        self._idle = Idle() if idle is None else idle
        self._measure = Measure()
        self._patience = Patience(
            settings,
            Waiting(
                held=self._is_held,
                received=lambda: self._received,
                unsent=self._unsent,
                no_head=self._no_head,
                no_body=self._no_body,
                no_reader=self._no_reader,
            ),
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._patience.head()
        self._idle.add(self, self._close)

    # --- what comes in

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the client: parse them, or discard them after a refusal."""
        self._unset_keepalive_if_required()
        if self._refused:
            self._discard(len(data), _MOST_LINGERING)
            return

        self._idle.remove(self)
        self._measure.before()
        try:
            self._feed(data)
            self._measure.after(len(data))
        except httptools.HttpParserError as error:
            known = isinstance(error.__context__, ProxyError)
            self._refuse(error.__context__ if known else InvalidRequest(f"this is not HTTP/1.1: {error}"))  # type: ignore[arg-type]  # it is known
        except ProxyError as error:
            self._refuse(error)
        else:
            self._expect()

    def _expect(self) -> None:
        """Begin to wait for the rest of an incomplete request."""
        if not self._measure.in_head:
            self._patience.body()
        elif self._measure.begun or self._running is None or self._running.response_complete:
            self._patience.head()

    def _feed(self, data: bytes) -> None:
        """Parse bytes from the client."""
        self.parser.feed_data(data)

    def _discard(self, size: int, most: int) -> None:
        self._discarded += size
        if self._discarded > most:
            self._close()

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._measure.begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        super().on_url(url)
        self._measure.target(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Trailers are only measured: they do not count as headers, whatever their names."""
        self._measure.header(len(name) + len(value))
        if self._measure.in_head:
            super().on_header(name, value)

    def on_chunk_header(self) -> None:
        """Note that another chunk of the body begins."""
        self._measure.content()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body.

        If the request has been answered already, the rest of its body may be as long as any body may be.
        """
        self._measure.content()
        self._received += len(body)
        if self.cycle.response_complete:
            self._discard(len(body), self._settings().max_body_bytes)
        super().on_body(body)

    # --- a request

    def _begin(self, cycle: RequestCycle) -> None:
        waits = self._running is not None and not self._running.response_complete
        self.cycle = cycle
        self._discarded = 0
        if waits:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))
        else:
            self._start_asgi_task(cycle, self.app)

    def _new_cycle(self, version: str) -> RequestCycle:
        keep_alive = self.parser.should_keep_alive()
        kind = RequestCycle
        if version != "1.1":
            kind = OldRequestCycle
            # RFC 9112 (6.1): a proxy that does not know chunks may have passed an older client's request on.
            keep_alive = keep_alive and not any(name == b"transfer-encoding" for name, _ in self.headers)
        return kind(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue and version == "1.1",
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # --- what is refused

    def _refuse(self, error: ProxyError) -> None:
        """Read nothing more, and answer with an error.

        It is the answer to the request whose body is being read, or else to the request that has begun.
        """
        self._refused = True
        self._patience.nothing()
        if not self._measure.in_head:
            cycle = self.cycle
            assert isinstance(cycle, RequestCycle)
            if cycle.response_complete:
                self._linger()
                return
            cycle.fail(error)
        else:
            cycle = self._refusal(error)
            self._begin(cycle)
        cycle.close_by(self._linger)

    def _refusal(self, error: ProxyError) -> RequestCycle:
        """Return a cycle for something that is not a complete request; its path may be known already."""
        if self.scope is None or not self._measure.begun:
            super().on_message_begin()
        path = self.url.partition(b"?")[0].decode("latin-1")
        self.scope["path"] = path if path.startswith("/") else "/"
        self.scope["method"] = "HEAD" if self.parser.get_method() == b"HEAD" else "GET"
        self.scope["raw_path"], self.scope["query_string"] = self.url, b""
        self.scope["headers"] = self.headers = []
        self.scope["state"]["refused"] = error
        self.expect_100_continue = False
        cycle = self._new_cycle("1.1")
        cycle.keep_alive = cycle.more_body = False
        return cycle

    def _linger(self) -> None:
        """Close the connection in a way that a client which is still sending can read the error.

        If we closed it with unread bytes, the system would reset the connection, and the error would be lost.
        """
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(_LINGER, self._close)

    def _no_head(self) -> None:
        if self._measure.begun:
            seconds = self._settings().header_timeout
            self._refuse(RequestTimeout(f"the request's headers did not come within {seconds:g} seconds"))
        else:
            self._close()

    def _no_body(self) -> None:
        seconds = self._settings().body_timeout
        self._refuse(
            RequestTimeout(
                f"the request's body came too slowly: within {seconds:g} seconds it must be complete or grow "
                f"by {int(seconds * LEAST_RATE):,} bytes"
            )
        )

    def _no_reader(self) -> None:
        self.logger.debug("a client did not read its answer and was cut off")
        self.transport.abort()

    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def _is_held(self) -> bool:
        """Return whether the client cannot send the rest of its request because we do not read or answer."""
        waits = not self._measure.in_head and self.cycle is not None and self.cycle.waiting_for_100_continue
        return waits or self.flow.read_paused

    # --- its end

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self._measure.end()
        self._patience.nothing()
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rest()

    def on_response_complete(self) -> None:
        """Go on to the next request, since an answer is complete."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._patience.reader()
        elif not self.pipeline and self._measure.in_head and not self._measure.begun:
            self._rest()

    def _rest(self) -> None:
        """Wait for the next request, for a limited time."""
        self._idle.add(self, self._close)
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self._close)

    def pause_writing(self) -> None:
        """Stop sending until the client has read more, and limit the wait for that."""
        super().pause_writing()
        self._patience.reader()

    def resume_writing(self) -> None:
        """Go on sending."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._patience.read()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection, since no further request has come."""
        self._close()

    def shutdown(self) -> None:
        """Close the connection as soon as no answer is under way."""
        super().shutdown()
        if self.transport.is_closing():
            self._patience.reader()

    def _close(self) -> None:
        """Close the connection once the client has read what was sent, or its time for that is up."""
        self._idle.remove(self)
        self._patience.nothing()
        if not self.transport.is_closing():
            self.transport.close()
            self._patience.reader()
