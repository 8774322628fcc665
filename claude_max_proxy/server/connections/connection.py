"""One client's connection: uvicorn's, extended for clients that it does not serve according to HTTP.

- A client may offer to change to another protocol, as the JDK's HTTP client offers ``h2c`` with its first
  request. We answer over HTTP/1.1, as RFC 9110 (7.8) allows; uvicorn's parser would take the request's body
  for the other protocol.
- A client of HTTP/1.0 gets no chunks.
- A client that has ended only its sending side still gets its answer. It looks the same as a client that has
  closed the connection, until we send something.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Iterator, Sequence

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.utils import is_ssl

from claude_max_proxy.errors import ProxyError
from claude_max_proxy.server.connections.bounds import Bounded
from claude_max_proxy.server.connections.request_cycle import RequestCycle
from claude_max_proxy.server.hosts import TARGET


# The seconds between probes of a client that has ended its sending side. If it has closed the connection, it
# answers a probe with a reset, which we only notice at the next probe; so the second probe comes soon.
_PAUSES = (0.02, 0.08, 0.4, 1.5, 3.0, 10.0, 45.0, 180.0)
_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class Connection(Bounded):
    """One client's connection."""

    _probing: asyncio.TimerHandle | None = None

    # --- what comes in

    def _feed(self, data: bytes) -> None:
        """Parse bytes; if a request offers another protocol, read its head again without the offer."""
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
        """Read the head that has just been read a second time, without the headers that offer a protocol."""
        method = self.parser.get_method()
        if method == b"CONNECT":  # this is no offer: what follows is meant for another server
            raise httptools.HttpParserInvalidMethodError("this server is not a proxy of that kind")

        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] not in _OFFERS]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")

    # --- what the parser finds

    def on_headers_complete(self) -> None:
        """Begin to answer the request, or put it in the queue if an answer is still under way."""
        if self.parser.should_upgrade():
            return

        self._locate()  # this comes first, so that a wrong target is refused as part of the head
        self._measure.head_ends()
        self._patience.nothing()
        version = self.parser.get_http_version()
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        self._begin(self._new_cycle(version))

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body.

        While no more of it can be read, we do not notice that a client has left, so we send probes.
        """
        super().on_body(body)
        if self.pipeline and self._probing is None and len(self.cycle.body) > HIGH_WATER_LIMIT:
            self._probe(_PAUSES)

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _locate(self) -> None:
        url = httptools.parse_url(self.url)
        raw_path = url.path or b"/"
        path = raw_path.decode("ascii")
        self.scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        self.scope["raw_path"] = raw_path
        if not self.url.startswith(b"/"):
            self.scope["state"][TARGET] = self.url
        self.scope["query_string"] = url.query or b""

    # --- its end

    def break_off(self, error: ProxyError) -> None:
        """End every answer that is not complete with this error."""
        for cycle in self._unanswered():
            cycle.fail(error)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn lets asyncio close
        """Go on answering after the client has ended its sending side.

        Returns to asyncio whether there is anything to answer; if not, it closes the connection.
        """
        self._idle.remove(self)
        self._patience.nothing()
        self._drop_unfinished()
        last = self._last()
        if last is None or is_ssl(self.transport):  # with TLS, asyncio always closes both sides
            return False

        last.keep_alive = False
        if self._probing is None:
            self._probe(_PAUSES)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all answers that the client is gone."""
        if self._probing is not None:
            self._probing.cancel()
        self._idle.remove(self)
        self._patience.close()
        super().connection_lost(exc)
        for cycle in self._unanswered():
            cycle.lose()
        self.pipeline.clear()

    def _probe(self, pauses: Sequence[float]) -> None:
        running = self._running
        if running is not None and not running.response_complete:
            running.probe()
        if pauses:
            self._probing = self.loop.call_later(pauses[0], self._probe, pauses[1:])

    def _drop_unfinished(self) -> None:
        """Drop a request that waits for its turn if the rest of it will never come."""
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()

    def _last(self) -> RequestCycle | None:
        """Return the newest request that is not answered yet, if it is complete."""
        *_, last = (None, *self._unanswered())
        return None if last is None or last.more_body else last

    def _unanswered(self) -> Iterator[RequestCycle]:
        """Yield all requests that are not answered yet, the oldest first."""
        if self._running is not None and not self._running.response_complete:
            yield self._running
        for cycle, _ in reversed(self.pipeline):
            assert isinstance(cycle, RequestCycle)
            yield cycle
