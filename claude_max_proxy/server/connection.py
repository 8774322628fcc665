"""One client's connection: uvicorn's, for clients that it does not serve as HTTP has it.

Who offers to speak another protocol is answered in this one, as RFC 9110 (7.8) has it: every HTTP client of
the JDK offers ``h2c`` with its first request, and uvicorn's parser then takes the body for that protocol.
Who speaks HTTP/1.0 gets no chunks. Who says no more, and only listens, is answered; who has closed is gone,
though both look the same until something is sent.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import is_ssl

from claude_max_proxy.server.exchange import Exchange, OldExchange


# The seconds between the probes of a client that says no more. A probe is answered by a reset, which the next
# one meets: so the second comes soon.
_PAUSES = (0.02, 0.08, 0.4, 1.5, 3.0, 10.0, 45.0, 180.0)
_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class Connection(HttpToolsProtocol):
    """A client's connection."""

    _probing: asyncio.TimerHandle | None = None
    _running: Exchange | None = None

    # --- what comes in

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse()

    def _feed(self, data: bytes) -> None:
        """Parse; a request that offers another protocol is read again without its offer."""
        rest = memoryview(data)
        while rest:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                self._read_anew()
            else:
                return

    def _read_anew(self) -> None:
        """Read the head that has just been read again, by a parser that sees no offer in it."""
        method = self.parser.get_method()
        if method == b"CONNECT":  # which is no offer: what follows is for another server
            raise httptools.HttpParserInvalidMethodError("this is no proxy of that kind")

        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] not in _OFFERS]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")

    def _refuse(self) -> None:
        """Refuse what is no HTTP; what was asked properly before it is answered first."""
        self._drop_unfinished()
        if last := self._last():
            last.keep_alive = False
        elif self._running is not None and self._running.response_started:
            self.transport.close()  # nothing may be written into an answer
        else:
            self.send_400_response("Invalid HTTP request received.")

    # --- what the parser finds

    def on_headers_complete(self) -> None:
        """Begin to answer, unless another answer goes on."""
        if self.parser.should_upgrade():
            return

        version = self.parser.get_http_version()
        self._locate()
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        exchange = self._exchange(version)
        waits = self._running is not None and not self._running.response_complete
        self.cycle = exchange
        if waits:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))
        else:
            self._start_asgi_task(exchange, self.app)

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _locate(self) -> None:
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        self.scope["raw_path"] = url.path
        self.scope["query_string"] = url.query or b""

    def _exchange(self, version: str) -> Exchange:
        keep_alive = self.parser.should_keep_alive()
        kind = Exchange
        if version != "1.1":
            kind = OldExchange
            # RFC 9112 (6.1): an older client's chunks may have been passed on by one that knows none.
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

    # --- its end

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn lets asyncio close
        """Answer what was asked before the client ended its side; tell asyncio whether anything was."""
        self._drop_unfinished()
        last = self._last()
        if last is None or is_ssl(self.transport):  # over TLS no end of one side alone is passed on to us
            return False

        last.keep_alive = False
        if self._probing is None:
            self._probe(_PAUSES)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Let what answers know that nobody listens."""
        if self._probing is not None:
            self._probing.cancel()
        super().connection_lost(exc)
        for exchange in self._unanswered():
            exchange.lose()
        self.pipeline.clear()

    def _probe(self, pauses: Sequence[float]) -> None:
        running = self._running
        if running is not None and not running.response_complete:
            running.probe()
        if pauses:
            self._probing = self.loop.call_later(pauses[0], self._probe, pauses[1:])

    def _drop_unfinished(self) -> None:
        """Forget a request that waits for its turn, if it will not become complete any more."""
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()

    def _last(self) -> Exchange | None:
        """The newest request that is to be answered, if all of it has come."""
        *_, last = (None, *self._unanswered())
        return None if last is None or last.more_body else last

    def _unanswered(self) -> Iterator[Exchange]:
        """Every request that is to be answered, the oldest first."""
        if self._running is not None and not self._running.response_complete:
            yield self._running
        for exchange, _ in reversed(self.pipeline):
            assert isinstance(exchange, Exchange)
            yield exchange
