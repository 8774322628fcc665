"""The connections to one API: httpx, over aiohttp's where that is possible.

httpx's own transport, for proxies and HTTP/2, takes over twice the CPU for a request. docs/architecture.md
has what was measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping

import aiohttp
import httpx

from claude_max_proxy.http_upstream.endpoint import Endpoint
from claude_max_proxy.http_upstream.exchange import Exchange, reason
from claude_max_proxy.http_upstream.failures import ConnectionBroken
from claude_max_proxy.http_upstream.pool import KEEP_ALIVE, newest, pooled_by_aiohttp
from claude_max_proxy.http_upstream.settings import HttpSettings
from claude_max_proxy.http_upstream.trust import trusted


_CLOSE_TIMEOUT = 2.0
# From this size on, aiohttp warns of a body that is not a stream.
_STREAMED = 1024 * 1024
# The adapter lets some of aiohttp's errors through; RuntimeError is what is told of a client that was closed.
_BROKEN = (httpx.TransportError, aiohttp.ClientError, RuntimeError)
_HUNG_UP = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


class Connections:
    """As many as are asked for at once; who asks bounds that, and all waiting."""

    def __init__(self, endpoint: Endpoint, settings: HttpSettings, tls: ssl.SSLContext | None) -> None:
        """Prepare; nothing is opened before the first request. ``tls`` is needed where the endpoint is."""
        limit = settings.connect_timeout
        self._endpoint = endpoint
        self._headers = httpx.Headers([("host", endpoint.authority), *endpoint.headers])
        # What httpx calls the wait for the pool is aiohttp's limit on all that making a connection takes.
        self._extensions = {"timeout": {"connect": limit, "pool": limit}}
        self._urls: dict[str, httpx.URL] = {}
        self._transport: httpx.AsyncBaseTransport
        if settings.http2 or endpoint.proxy:
            self._transport = _by_httpx(endpoint, settings, tls)
        else:
            self._transport = pooled_by_aiohttp(tls)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Exchange:
        """Ask, with these headers beside the endpoint's own; return when the answer's head is there.

        A connection that was idle may have been closed by the other side in that moment. Then nothing was
        answered, and another is taken. Raises :class:`ConnectionBroken`.
        """
        request = self._request(path, body, headers)
        while True:
            newest.set(None)
            try:
                return await _answer(await self._transport.handle_async_request(request))
            except _BROKEN as error:
                line = newest.get()
                stale = line is not None and line.used and isinstance(error.__cause__, _HUNG_UP)
                if not stale:
                    raise ConnectionBroken(reason(error)) from error
            except asyncio.CancelledError:
                _hang_up()
                raise

    async def close(self) -> None:
        """Hang up everywhere, within a bound."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._transport.aclose()

    def _request(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(self._endpoint.url(path))
        sent = self._headers.copy()
        sent["content-length"] = str(len(body))
        sent.update(headers)
        stream = httpx.ByteStream(body)
        request = httpx.Request("POST", url, headers=sent, stream=stream, extensions=self._extensions)
        if len(body) < _STREAMED:
            request.read()
        return request


async def prepared(endpoint: Endpoint, settings: HttpSettings) -> Connections:
    """Prepare connections to ``endpoint``."""
    tls = None
    if endpoint.tls or endpoint.proxy or settings.http2:
        tls = await asyncio.to_thread(trusted, settings.tls_ca, http2=settings.http2)
    return Connections(endpoint, settings, tls)


def _hang_up() -> None:
    """Leave a request that has no answer yet; a connection that is only closed first sends what is unsent."""
    line = newest.get()
    if line is not None and line.transport is not None:
        line.transport.abort()


async def _answer(response: httpx.Response) -> Exchange:
    """Return the answer, unless it only says that another protocol be spoken."""
    exchange = Exchange(response, _BROKEN)
    if exchange.status == 101:
        await exchange.close()
        raise ConnectionBroken("it wants to speak another protocol than HTTP")
    return exchange


def _by_httpx(
    endpoint: Endpoint, settings: HttpSettings, tls: ssl.SSLContext | None
) -> httpx.AsyncBaseTransport:
    assert tls is not None
    return httpx.AsyncHTTPTransport(
        verify=tls,
        http2=settings.http2,
        limits=httpx.Limits(max_keepalive_connections=settings.max_connections, keepalive_expiry=KEEP_ALIVE),
        proxy=endpoint.proxy or None,
    )
